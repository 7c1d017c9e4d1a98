//! Foreign files in the data directory, and who may read the directory.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    failure,
    names::{self, OF_THE_FILE_SYSTEM, SET_ASIDE},
};
use crate::{Error, Result};

/// Permissions of a directory of the store: its owner may do anything, all others nothing.
pub const PRIVATE: u32 = 0o700;
const OTHERS: u32 = 0o077;
/// Strays that may have one name; with more of them the cause has to be found first.
const OF_ONE_NAME: u32 = 1000;

/// Takes the permissions on the directory, and all that is in it, from all users but its owner.
pub fn make_private(directory: &Path) -> Result<()> {
    let mut open = Open::default();
    open.close(directory).map_err(|error| failure::unusable(directory, &error))?;
    let Open { closed, kept } = open;
    let directory = directory.display();
    if closed > 0 {
        tracing::warn!(%directory, closed, "other users could read the data; now they cannot");
    }
    if kept > 0 {
        tracing::warn!(
            %directory, kept, "some of what is here could not be closed to other users"
        );
    }
    Ok(())
}

/// How many files and directories were open to other users, and how many have to stay so.
#[derive(Default)]
struct Open {
    closed: u64,
    kept: u64,
}

impl Open {
    /// Files that belong to another user, or cannot be changed, are counted and left as they are.
    fn close(&mut self, path: &Path) -> io::Result<()> {
        use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};

        let Err(error) = self.try_close(path) else { return Ok(()) };
        match error.kind() {
            PermissionDenied | ReadOnlyFilesystem | Unsupported => self.kept += 1,
            NotFound => {}
            _ => return Err(error),
        }
        Ok(())
    }

    fn try_close(&mut self, path: &Path) -> io::Result<()> {
        let found = fs::metadata(path)?;
        if found.mode() & OTHERS != 0 {
            let private = Permissions::from_mode(found.mode() & 0o7777 & !OTHERS);
            fs::set_permissions(path, private)?;
            self.closed += 1;
        }
        if !found.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !entry.file_type()?.is_symlink() && entry.file_name() != OF_THE_FILE_SYSTEM {
                self.close(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// How to treat a file or directory in a folder of the store.
enum Lot {
    /// It belongs to the store.
    Ours,
    /// It does not, and is not in the way.
    Ignore,
    /// It does not, and the engine would stop at it, or remove it.
    SetAside,
}

/// Finds files that do not belong into the store's folders, such as those that an editor, a crash
/// or a network file system leaves. The engine takes some of them for damage; those are moved to
/// `set-aside`.
pub fn set_strays_aside(directory: &Path, tables: &Path) -> Result<()> {
    let unusable = |error: io::Error| failure::unusable(tables, &error);
    let strays = Strays { directory };
    strays.sort(directory, |_, name| lot_at_top(name))?;
    strays.sort(tables, lot_of_engine)?;
    let keyspaces = tables.join("keyspaces");
    strays.sort(&keyspaces, lot_of_keyspace)?;
    for entry in fs::read_dir(&keyspaces).map_err(unusable)? {
        let keyspace = entry.map_err(unusable)?.path();
        if keyspace.is_dir() {
            strays.sort(&keyspace, lot_of_version)?;
            strays.sort(&keyspace.join("tables"), lot_of_table)?;
        }
    }
    Ok(())
}

fn lot_at_top(name: &OsStr) -> io::Result<Lot> {
    Ok(if names::is_known(name) { Lot::Ours } else { Lot::Ignore })
}

fn lot_of_engine(entry: &DirEntry, name: &OsStr) -> io::Result<Lot> {
    let Some(text) = name.to_str() else { return Ok(Lot::SetAside) };
    Ok(match text.rsplit_once('.') {
        Some((stem, "jnl")) if is_number(stem) && is_file(entry)? => Lot::Ours,
        Some((_, extension)) if extension.eq_ignore_ascii_case("jnl") => Lot::SetAside,
        _ if ["version", "lock", "keyspaces"].contains(&text) => Lot::Ours,
        _ => Lot::Ignore,
    })
}

/// The engine removes numbered folders that it has not filled. A folder with tables that lacks the
/// file that names its present list of tables is left to the engine, which says what is wrong.
fn lot_of_keyspace(entry: &DirEntry, name: &OsStr) -> io::Result<Lot> {
    if is_file(entry)? {
        return Ok(Lot::Ignore);
    }
    let is_numbered = name.to_str().is_some_and(is_number);
    let path = entry.path();
    let is_filled = path.join("current").try_exists()? || path.join("tables").try_exists()?;
    Ok(if is_numbered && is_filled { Lot::Ours } else { Lot::SetAside })
}

/// The engine removes files whose names begin as those of its old lists of tables do.
fn lot_of_version(entry: &DirEntry, name: &OsStr) -> io::Result<Lot> {
    let text = name.to_string_lossy();
    Ok(match text.strip_prefix('v') {
        Some(number) if is_number(number) && is_file(entry)? => Lot::Ours,
        Some(_) => Lot::SetAside,
        // Half of a file that was to become one of those.
        None if text.starts_with(".tmp") => Lot::Ours,
        None if ["current", "tables", "blobs"].contains(&&*text) => Lot::Ours,
        None => Lot::Ignore,
    })
}

fn lot_of_table(entry: &DirEntry, name: &OsStr) -> io::Result<Lot> {
    let is_table = name.to_str().is_some_and(is_number) && is_file(entry)?;
    Ok(if is_table { Lot::Ours } else { Lot::SetAside })
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

/// An error is no answer: a file that cannot be examined now may be the store's.
fn is_file(entry: &DirEntry) -> io::Result<bool> {
    Ok(entry.file_type()?.is_file())
}

/// Files that are not the store's.
struct Strays<'a> {
    directory: &'a Path,
}

impl Strays<'_> {
    fn sort(
        &self,
        folder: &Path,
        lot: impl Fn(&DirEntry, &OsStr) -> io::Result<Lot>,
    ) -> Result<()> {
        let unusable = |error: io::Error| failure::unusable(folder, &error);
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(unusable)?,
        };
        for entry in entries {
            let entry = entry.map_err(unusable)?;
            let path = entry.path();
            match lot(&entry, &entry.file_name()).map_err(unusable)? {
                Lot::Ours => {}
                Lot::Ignore => {
                    tracing::warn!(path = %path.display(), "this is not the store's; ignored");
                }
                Lot::SetAside => {
                    let aside = self.take(&path)?;
                    tracing::warn!(
                        path = %path.display(),
                        set_aside = %aside.display(),
                        "this is not the store's and was in its way; set aside"
                    );
                }
            }
        }
        Ok(())
    }

    fn take(&self, stray: &Path) -> Result<PathBuf> {
        let unusable = |error: io::Error| failure::unusable(stray, &error);
        let aside = self.directory.join(SET_ASIDE);
        fs::create_dir_all(&aside).map_err(unusable)?;
        let name = stray.file_name().unwrap_or(OsStr::new("stray"));
        for number in 0..OF_ONE_NAME {
            let mut numbered = name.to_owned();
            numbered.push(format!(".stray-{number}"));
            let target = aside.join(numbered);
            match fs::symlink_metadata(&target) {
                Ok(_) => {}
                // No other process writes here, so a file that is not there now will not appear
                // later.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::rename(stray, &target).map_err(unusable)?;
                    return Ok(target);
                }
                Err(error) => return Err(unusable(error)),
            }
        }
        let reason = format!("{} has too many of this name", aside.display());
        Err(Error::Unusable { place: stray.display().to_string(), reason })
    }
}
