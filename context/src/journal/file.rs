use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    entry::{Entry, FIRST, FRAME, KINDS, SECOND, frame},
    search,
};
use crate::{Error, Result, durable_file};

/// The first bytes of a journal: a name, the version of its format, and a byte of [`BLOCKED`] and
/// [`IN_DOUBT`]. The version is the first one that knows all kinds of entries in it.
const NAME: [u8; 7] = *b"JOBTRKJ";
pub(crate) const HEADER: u64 = NAME.len() as u64 + 2;
/// Updates to finished jobs are blocked.
const BLOCKED: u8 = 1;
/// The content of the journal may have been sent under a name that it does not have.
const IN_DOUBT: u8 = 2;

/// The file of a journal. It is locked as long as it is open.
pub(crate) struct JournalFile {
    pub path: PathBuf,
    pub file: File,
    version: u8,
    block_updates_after_finish: bool,
}

/// The header of a journal.
pub(crate) struct Header {
    pub block_updates_after_finish: bool,
    pub is_in_doubt: bool,
}

/// How far a journal could be read.
pub(crate) struct Found {
    /// Where the last whole entry ends.
    pub end: u64,
    /// How many bytes were behind that.
    pub torn: u64,
    /// How many bytes before that could not be read.
    pub damaged: u64,
    /// The file in which these are kept.
    pub set_aside: Option<PathBuf>,
}

/// What to do about damage that has whole entries behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Leave everything as it is.
    Refuse,
    /// Keep a copy, and go on behind it.
    Skip,
}

impl JournalFile {
    /// Opens a journal for a new context, which must have nothing in it.
    pub fn create(path: &Path, block_updates_after_finish: bool) -> Result<Self> {
        let mut journal = Self::lock(path, true)?;
        let failed = |error| failure(path, error);
        if journal.file.metadata().map_err(failed)?.len() > HEADER {
            return Err(Error::JournalNotEmpty { path: path.into() });
        }
        journal.begin(block_updates_after_finish).map_err(failed)?;
        Ok(journal)
    }

    /// Opens the journal that another context has left. None if there is no journal.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match Self::lock(path, false) {
            Err(Error::Journal { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn lock(path: &Path, create: bool) -> Result<Self> {
        let failed = |error| failure(path, error);
        loop {
            let file =
                durable_file::private().read(true).create(create).open(path).map_err(failed)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::JournalInUse { path: path.into() });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                // Its owner may have replaced the file, and ended.
                Ok(()) if !is_at(&file, path).map_err(failed)? => {}
                Ok(()) => {
                    // The replacement that a killed process had not put in place.
                    let _ = open_beside(path, false).and_then(|(_, path)| fs::remove_file(path));
                    let (version, block_updates_after_finish) = (FIRST, false);
                    return Ok(Self {
                        path: path.into(),
                        file,
                        version,
                        block_updates_after_finish,
                    });
                }
            }
        }
    }

    /// Reads the header. None: the process died before it had written even that.
    ///
    /// # Errors
    /// It is not a journal, or cannot be read.
    pub fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = [0; HEADER as usize];
        self.file.seek(SeekFrom::Start(0))?;
        if !fill(&mut self.file, &mut header)? {
            return Ok(None);
        }
        let (version, flags) = match header.strip_prefix(&NAME) {
            Some([version @ FIRST..=SECOND, flags]) if flags & !(BLOCKED | IN_DOUBT) == 0 => {
                (*version, *flags)
            }
            Some(_) => return Err(invalid("it was written by a later version of this library")),
            None => return Err(invalid("it is not a journal of a context")),
        };
        self.version = version;
        self.block_updates_after_finish = flags & BLOCKED != 0;
        Ok(Some(Header {
            block_updates_after_finish: self.block_updates_after_finish,
            is_in_doubt: flags & IN_DOUBT != 0,
        }))
    }

    /// Reads the entries behind the header, up to the end or to where the writing broke off. Bytes
    /// that cannot be read are copied to a file of their own, and bytes behind the last whole entry
    /// are cut off, so that the journal can be written on.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn entries(&mut self, damage: Damage, take: impl FnMut(Entry<'static>)) -> Result<Found> {
        let path = self.path.clone();
        let failed = |error| failure(&path, error);
        let mut found = Found { end: HEADER, torn: 0, damaged: 0, set_aside: None };
        let damaged_to = self.read_entries(damage, &mut found, take)?;
        let length = self.file.metadata().map_err(failed)?.len();
        found.torn = length - found.end;
        let set_aside = match (found.damaged, found.torn) {
            (0, 0) => None,
            (0, _) => Some(self.set_aside(found.end, length, "torn")),
            // The entries behind the damage stay here, so an earlier copy need not have them.
            (_, 0) => Some(self.set_aside(0, damaged_to, "damaged")),
            _ => Some(self.set_aside(0, length, "damaged")),
        };
        found.set_aside = set_aside.transpose().map_err(failed)?;
        self.file.set_len(found.end).map_err(failed)?;
        self.file.seek(SeekFrom::Start(found.end)).map_err(failed)?;
        Ok(found)
    }

    /// Says where the last damage ends.
    fn read_entries(
        &self,
        damage: Damage,
        found: &mut Found,
        mut take: impl FnMut(Entry<'static>),
    ) -> Result<u64> {
        let failed = |error| failure(&self.path, error);
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        let mut body = Vec::new();
        let mut damaged_to = 0;
        loop {
            reader.seek(SeekFrom::Start(found.end)).map_err(failed)?;
            while let Some(entry) = next(&mut reader, &mut body).map_err(failed)? {
                found.end += (FRAME + body.len()) as u64;
                take(entry);
            }
            let Some(more) = search::next_whole(&self.file, found.end).map_err(failed)? else {
                return Ok(damaged_to);
            };
            if damage == Damage::Refuse {
                return Err(Error::JournalDamaged { path: self.path.clone(), at: found.end });
            }
            found.damaged += more - found.end;
            (found.end, damaged_to) = (more, more);
        }
    }

    /// Copies all of it to a file of its own, since it may be sent twice.
    pub fn set_all_aside(&self) -> io::Result<PathBuf> {
        self.set_aside(0, self.file.metadata()?.len(), "damaged")
    }

    /// Copies the bytes behind a position to a file of their own, unless an existing copy has as
    /// much of them as is needed.
    fn set_aside(&self, from: u64, needed_to: u64, what: &str) -> io::Result<PathBuf> {
        let mut file = &self.file;
        let needed = needed_to - from;
        durable_file::create_beside(&self.path, what, needed, &mut |copy| {
            file.seek(SeekFrom::Start(from))?;
            io::copy(&mut file, copy).map(drop)
        })
    }

    /// Writes the header of an empty journal.
    fn begin(&mut self, block_updates_after_finish: bool) -> io::Result<()> {
        self.block_updates_after_finish = block_updates_after_finish;
        self.file.set_len(0)?;
        self.put_header(FIRST)?;
        self.file.sync_all()?;
        self.sync_folder()
    }

    /// Throws away everything behind the header, for good: old bytes must not follow what is
    /// written next.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(HEADER)?;
        self.put_header(FIRST)?;
        self.file.sync_all()
    }

    /// Replaces the journal by a file that has only these bytes behind its header, at one instant.
    /// Durable when its folder is, too.
    ///
    /// # Errors
    /// The journal is as it was.
    pub fn replace(&mut self, kept: &[u8]) -> io::Result<()> {
        let (file, path) = open_beside(&self.path, true)?;
        let write = |mut file: &File| {
            file.try_lock()?;
            file.set_len(0)?;
            file.write_all(&self.header_of(SECOND))?;
            file.write_all(kept)?;
            file.sync_all()?;
            // A link stays a link.
            fs::rename(&path, fs::canonicalize(&self.path)?)
        };
        if let Err(error) = write(&file) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        (self.file, self.version) = (file, SECOND);
        Ok(())
    }

    /// Writes at a position, over the old bytes.
    pub fn write_at(&mut self, end: u64, version: u8, bytes: &[u8]) -> io::Result<()> {
        if version > self.version {
            self.put_header(version)?;
        }
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(bytes)
    }

    /// Marks the journal at this path: its content may be sent under a name that it does not have.
    /// That takes no room on the disk.
    pub fn put_in_doubt(path: &Path, block_updates_after_finish: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(HEADER - 1))?;
        file.write_all(&[flags(block_updates_after_finish) | IN_DOUBT])?;
        file.sync_all()
    }

    /// Removes that mark: the journal has the name of everything that was sent.
    pub fn put_out_of_doubt(&mut self) -> io::Result<()> {
        self.put_header(self.version)?;
        self.file.sync_data()
    }

    /// Makes durable which file has the name.
    pub fn sync_folder(&self) -> io::Result<()> {
        durable_file::sync_folder(&fs::canonicalize(&self.path)?)
    }

    pub fn blocks_updates_after_finish(&self) -> bool {
        self.block_updates_after_finish
    }

    fn put_header(&mut self, version: u8) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.header_of(version))?;
        self.version = version;
        Ok(())
    }

    fn header_of(&self, version: u8) -> [u8; HEADER as usize] {
        let mut header = [0; HEADER as usize];
        header[..NAME.len()].copy_from_slice(&NAME);
        header[NAME.len()] = version;
        header[NAME.len() + 1] = flags(self.block_updates_after_finish);
        header
    }
}

fn flags(block_updates_after_finish: bool) -> u8 {
    if block_updates_after_finish { BLOCKED } else { 0 }
}

/// Opens the file that is to take the place of a journal, beside it: one that a process has left
/// there, or a new one.
///
/// # Errors
/// There is another file of that name.
fn open_beside(path: &Path, create: bool) -> io::Result<(File, PathBuf)> {
    let path = durable_file::beside(&fs::canonicalize(path)?, "new");
    let mut file = durable_file::private().read(true).create(create).open(&path)?;
    let mut begin = [0; NAME.len()];
    let length = file.metadata()?.len();
    if length > 0 && !(fill(&mut file, &mut begin)? && begin == NAME) {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file of that name"));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok((file, path))
}

/// Whether this is the file that has the name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let there = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let here = file.metadata()?;
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

/// A file that is open keeps its name there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The next entry, whose bytes go into `body`. None: there is no more, or it is not whole.
fn next(reader: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Option<Entry<'static>>> {
    let mut head = [0; FRAME];
    if !fill(reader, &mut head)? {
        return Ok(None);
    }
    let Some((length, checksum)) = frame(head) else { return Ok(None) };
    body.resize(length, 0);
    if !fill(reader, body)? || xxhash_rust::xxh3::xxh3_64(body) != checksum {
        return Ok(None);
    }
    if body[0] >= KINDS {
        return Err(invalid("it has entries of a later version of this library"));
    }
    let (entry, _) = postcard::take_from_bytes(body)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(Some(entry))
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// Fills `bytes`. False: the file ends before that.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

pub(crate) fn failure(path: &Path, error: io::Error) -> Error {
    Error::Journal { path: path.into(), source: Arc::new(error) }
}
