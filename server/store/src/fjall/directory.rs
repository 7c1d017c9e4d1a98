use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    FjallOptions,
    contents::{self, PRIVATE, sync_directory},
    failure,
    names::{FORMAT, FORMAT_NEW, LOCK, OF_THE_FILE_SYSTEM, TABLES, TABLES_NEW},
    replay::{self, Replay},
    tables::Tables,
    tail,
};
use crate::{Error, Result};

/// The text before the number in the format file.
const NAME: &str = "jobtracker fjall ";
/// The format that this program writes, and the newest that it reads. Format 2 has staged rows,
/// which a program that knows only format 1 would take for rows like any others. Format 3 has
/// follow-ups: jobs that have some have a flag that an older program cannot read. So have jobs that
/// failed, or have failed jobs below, in format 4: they say which report was the first. In format 5
/// so have all jobs of which that is known, and checks say when they told of silence. Format 6 has
/// deleted trees, of which an older program would show what is left. Format 7 has tasks, which it
/// cannot read. Format 8 has roots that say how many days their trees are kept, and trees of which
/// only the summary is left; in format 9 these keep their first failures.
const KNOWN: u32 = 9;
/// How the engine marks the layout of its files: a name and a number.
const ENGINE: &[u8; 4] = b"FJL\x03";
/// What may be in a directory that is to become a store: what an unfinished first start left, and
/// what file systems put there.
const UNFINISHED: [&str; 4] = [LOCK, FORMAT_NEW, TABLES_NEW, OF_THE_FILE_SYSTEM];

/// A directory that is a store, and that this process alone has open.
pub struct StoreDirectory {
    directory: PathBuf,
    /// Unlocks when it is dropped.
    _lock: File,
}

impl StoreDirectory {
    /// Locks the directory, and makes a store of it if it is empty.
    pub fn take(options: &FjallOptions) -> Result<Self> {
        let directory = &options.directory;
        let unusable = |error: io::Error| failure::unusable(directory, &error);
        create(directory).map_err(unusable)?;
        if !directory.join(FORMAT).try_exists().map_err(unusable)? {
            refuse_foreign(directory)?;
        }
        let place = Self { directory: directory.clone(), _lock: lock(directory)? };
        let format = match fs::read(directory.join(FORMAT)) {
            Ok(format) => check_format(&format)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                place.create_tables(options)?;
                place.write_format().map_err(unusable)?;
                KNOWN
            }
            Err(error) => return Err(unusable(error)),
        };
        place.settle_tables()?;
        contents::make_private(directory)?;
        if format < KNOWN {
            place.write_format().map_err(unusable)?;
        }
        Ok(place)
    }

    /// Checks the files that the engine has left, before it is opened, and keeps its journals
    /// until it is.
    pub fn look_through(&self) -> Result<Option<Replay>> {
        let tables = self.tables();
        check_engine(&tables)?;
        replay::put_back(&self.directory, &tables)?;
        contents::set_strays_aside(&self.directory, &tables)?;
        let journals = tail::look_through(&self.directory, &tables)?;
        Replay::begin(&self.directory, &tables, &journals)
    }

    /// The engine's directory.
    pub fn tables(&self) -> PathBuf {
        self.directory.join(TABLES)
    }

    /// Creates the engine's files under another name, so that half of them never look like a
    /// store.
    fn create_tables(&self, options: &FjallOptions) -> Result<()> {
        let new = self.directory.join(TABLES_NEW);
        let unusable = |error: io::Error| failure::unusable(&new, &error);
        if new.try_exists().map_err(unusable)? {
            fs::remove_dir_all(&new).map_err(unusable)?;
        }
        drop(Tables::open(&new, options)?);
        sync_directory(&self.directory).map_err(unusable)
    }

    fn write_format(&self) -> io::Result<()> {
        let new = self.directory.join(FORMAT_NEW);
        let mut file = File::create(&new)?;
        file.write_all(format!("{NAME}{KNOWN}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(new, self.directory.join(FORMAT))?;
        sync_directory(&self.directory)
    }

    /// Gives the engine's directory its name: the last step of the first start, which a later one
    /// may have to do.
    fn settle_tables(&self) -> Result<()> {
        let (new, tables) = (self.directory.join(TABLES_NEW), self.tables());
        let unusable = |error: io::Error| failure::unusable(&tables, &error);
        if tables.try_exists().map_err(unusable)? {
            return Ok(());
        }
        if !new.try_exists().map_err(unusable)? {
            let directory = self.directory.display();
            return Err(Error::Corrupt(format!("{directory} has a {FORMAT} but no `{TABLES}`")));
        }
        fs::rename(&new, &tables).map_err(unusable)?;
        sync_directory(&self.directory).map_err(unusable)
    }
}

/// Refuses an engine's directory that is gone or is not in the one layout that is known here.
/// Without the file that tells it, the engine would take the rest for rubbish and begin anew.
fn check_engine(tables: &Path) -> Result<()> {
    let marker = tables.join("version");
    let found = fs::read(&marker).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Corrupt(format!("{} is missing", marker.display())),
        _ => failure::unusable(&marker, &error),
    })?;
    let (name, layout) = ENGINE.split_at(3);
    match found.strip_prefix(name) {
        Some(found) if found == layout => Ok(()),
        Some([found]) => Err(Error::Unusable {
            place: tables.display().to_string(),
            reason: format!(
                "its files have layout {found} of the engine, and this program knows {layout:?}; \
                 start the version that wrote them"
            ),
        }),
        _ => Err(Error::Corrupt(format!("{} says {found:02x?}", marker.display()))),
    }
}

/// Creates a directory so that it is still there after a power cut.
fn create(directory: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut above = Some(directory);
    while let Some(path) = above.filter(|path| !path.as_os_str().is_empty() && !path.exists()) {
        missing.push(path);
        above = path.parent();
    }
    DirBuilder::new().recursive(true).mode(PRIVATE).create(directory)?;
    for path in missing {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Refuses a directory that has something in it and is not a store.
fn refuse_foreign(directory: &Path) -> Result<()> {
    let unusable = |error: io::Error| failure::unusable(directory, &error);
    for entry in fs::read_dir(directory).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        if !UNFINISHED.iter().any(|known| name == *known) {
            let name = name.to_string_lossy();
            return Err(Error::Unusable {
                place: directory.display().to_string(),
                reason: format!(
                    "it has `{name}` in it but no {FORMAT}, so it is not a store; give an empty \
                     directory, or one that this program has made"
                ),
            });
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let unusable = |error: io::Error| failure::unusable(&path, &error);
    let options = File::options().create(true).truncate(false).write(true).open(&path);
    let file = options.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(failure::locked(directory)),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// The format of the data, if this program can read it.
fn check_format(bytes: &[u8]) -> Result<u32> {
    let text = std::str::from_utf8(bytes).ok();
    let number = text.and_then(|text| text.trim_end().strip_prefix(NAME)?.parse::<u32>().ok());
    match number {
        Some(found) if found > KNOWN => Err(Error::NewerFormat { found, known: KNOWN }),
        Some(found @ 1..) => Ok(found),
        Some(0) | None => {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
            Err(Error::Corrupt(format!("{FORMAT} says {found:?} instead of \"{NAME}{KNOWN}\"")))
        }
    }
}
