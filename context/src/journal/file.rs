use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    entry::{Entry, FRAME, frame},
    search,
};
use crate::{Error, Result, put_aside};

/// What a journal begins with: a name, a version, and the rule for updates to finished jobs.
const NAME: [u8; 8] = *b"JOBTRKJ\x01";
pub(crate) const HEADER: u64 = NAME.len() as u64 + 1;

/// The file of a journal. It is locked as long as it is open.
pub(crate) struct JournalFile {
    pub path: PathBuf,
    pub file: File,
}

/// How far a journal could be read.
pub(crate) struct Found {
    /// Where the last whole entry ends.
    pub end: u64,
    /// How much stood behind that.
    pub torn: u64,
    /// How much before that could not be read.
    pub damaged: u64,
    /// Where that is kept.
    pub set_aside: Option<PathBuf>,
}

/// What to do about a place that cannot be read and has whole entries behind it.
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

    /// Opens the journal that another context has left. None: it has left none.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match Self::lock(path, false) {
            Err(Error::Journal { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn lock(path: &Path, create: bool) -> Result<Self> {
        let failed = |error| failure(path, error);
        let mut options = OpenOptions::new();
        // Actions have secrets in them: nobody else is to read them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.read(true).write(true).create(create).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), file }),
            Err(TryLockError::WouldBlock) => Err(Error::JournalInUse { path: path.into() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The rule for updates to finished jobs. None: the process died before it had written even
    /// that.
    ///
    /// # Errors
    /// It is not a journal, or cannot be read.
    pub fn rule(&mut self) -> io::Result<Option<bool>> {
        let mut header = [0; HEADER as usize];
        self.file.seek(SeekFrom::Start(0))?;
        if !fill(&mut self.file, &mut header)? {
            return Ok(None);
        }
        match (header.strip_prefix(&NAME), header[NAME.len()]) {
            (Some(_), 0) => Ok(Some(false)),
            (Some(_), 1) => Ok(Some(true)),
            _ => {
                let reason = "it is not a journal of a context, or one of another version";
                Err(io::Error::new(ErrorKind::InvalidData, reason))
            }
        }
    }

    /// Reads what follows the header, up to the end or to where the writing broke off. What stands
    /// behind that is put into a file of its own and cut off, so that it can be written on.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn entries(&mut self, damage: Damage, take: impl FnMut(Entry<'static>)) -> Result<Found> {
        let path = self.path.clone();
        let failed = |error| failure(&path, error);
        let mut found = self.read_entries(damage, take)?;
        let length = self.file.metadata().map_err(failed)?.len();
        found.torn = length - found.end;
        if found.torn > 0 && found.set_aside.is_none() {
            found.set_aside = Some(self.set_aside(found.end, "torn").map_err(failed)?);
        }
        self.file.set_len(found.end).map_err(failed)?;
        self.file.seek(SeekFrom::Start(found.end)).map_err(failed)?;
        Ok(found)
    }

    fn read_entries(&self, damage: Damage, mut take: impl FnMut(Entry<'static>)) -> Result<Found> {
        let failed = |error| failure(&self.path, error);
        let mut found = Found { end: HEADER, torn: 0, damaged: 0, set_aside: None };
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        let mut body = Vec::new();
        loop {
            reader.seek(SeekFrom::Start(found.end)).map_err(failed)?;
            while let Some(entry) = next(&mut reader, &mut body).map_err(failed)? {
                found.end += (FRAME + body.len()) as u64;
                take(entry);
            }
            let Some(more) = search::next_whole(&self.file, found.end).map_err(failed)? else {
                return Ok(found);
            };
            if damage == Damage::Refuse {
                return Err(Error::JournalDamaged { path: self.path.clone(), at: found.end });
            }
            if found.set_aside.is_none() {
                found.set_aside = Some(self.set_aside(0, "damaged").map_err(failed)?);
            }
            found.damaged += more - found.end;
            found.end = more;
        }
    }

    /// Copies what stands behind a place to a file of its own.
    fn set_aside(&self, from: u64, what: &str) -> io::Result<PathBuf> {
        let (mut copy, path) = put_aside::create_beside(&self.path, what)?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(from))?;
        io::copy(&mut file, &mut copy)?;
        copy.sync_all()?;
        Ok(path)
    }

    /// Writes the header of an empty journal.
    pub fn begin(&mut self, block_updates_after_finish: bool) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&NAME)?;
        self.file.write_all(&[u8::from(block_updates_after_finish)])?;
        self.file.sync_all()?;
        // The name of the file is in its folder, which has a memory of its own.
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Throws away everything behind the header, for good: what is written next must not be
    /// followed by something old.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(HEADER)?;
        self.file.seek(SeekFrom::Start(HEADER))?;
        self.file.sync_all()
    }
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
    // What has the right checksum and cannot be read was written by another version.
    let (entry, _) = postcard::take_from_bytes(body)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(Some(entry))
}

/// Reads so many bytes. False: there are not so many.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

pub(crate) fn failure(path: &Path, error: io::Error) -> Error {
    Error::Journal { path: path.into(), source: Arc::new(error) }
}
