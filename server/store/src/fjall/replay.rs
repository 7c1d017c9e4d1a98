//! Keeps the journals while the engine replays them.
//!
//! The engine takes most errors that it meets in a journal for its torn end, and cuts the file off
//! there: also the error of a disk that could not be read at that moment. So it gets a copy. The
//! journals themselves wait in a folder until the engine is open and the copy is still whole;
//! after anything else the next opening puts them back.
//!
//! The copy is one journal with the batches of all. Where there are several, the engine begins to
//! write tables of all but the last while it opens; what was written of a journal that is cut off
//! could not be taken back.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{
    contents::sync_directory,
    failure,
    names::{REPLAYED, REPLAYING},
    tail::Checked,
};
use crate::{Error, Result};

/// The copy while it is written.
const NEW: &str = "new";

/// The end of an opening that did not finish: what it kept is put back, and what was no longer
/// needed is removed.
pub fn put_back(directory: &Path, tables: &Path) -> Result<()> {
    let unusable = |error: io::Error| failure::unusable(tables, &error);
    remove_replayed(directory).map_err(unusable)?;
    let kept = directory.join(REPLAYING);
    if !kept.try_exists().map_err(unusable)? {
        return Ok(());
    }
    put_back_from(&kept, tables).map_err(unusable)?;
    sync_directory(directory).map_err(unusable)
}

fn put_back_from(kept: &Path, tables: &Path) -> io::Result<()> {
    for entry in fs::read_dir(kept)? {
        let entry = entry?;
        if entry.file_name() == NEW {
            fs::remove_file(entry.path())?;
        } else {
            fs::rename(entry.path(), tables.join(entry.file_name()))?;
        }
    }
    sync_directory(tables)?;
    fs::remove_dir(kept)
}

fn remove_replayed(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory.join(REPLAYED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A replay that has begun.
pub struct Replay {
    directory: PathBuf,
    /// The copy, and how long it is.
    copy: PathBuf,
    len: u64,
}

impl Replay {
    /// Puts the journals away and a copy of their batches into the place of the last one. None if
    /// there is nothing to replay, or no room for a copy: a service that could not start on a full
    /// disk could not be asked to delete anything.
    pub fn begin(directory: &Path, tables: &Path, journals: &[Checked]) -> Result<Option<Self>> {
        let Some(last) = journals.last().filter(|_| journals.iter().any(|one| one.end > 0)) else {
            return Ok(None);
        };
        let replay = Self {
            directory: directory.to_owned(),
            copy: last.path.clone(),
            len: journals.iter().map(|journal| journal.end).sum(),
        };
        match replay.put_away(tables, journals) {
            Ok(()) => Ok(Some(replay)),
            Err(error) if failure::is_full(&error) => {
                put_back(directory, tables)?;
                tracing::warn!(
                    bytes = replay.len,
                    "there is no room for a copy of the journals; they are replayed without one, \
                     and a read error meanwhile may damage them"
                );
                Ok(None)
            }
            Err(error) => Err(failure::unusable(tables, &error)),
        }
    }

    fn put_away(&self, tables: &Path, journals: &[Checked]) -> io::Result<()> {
        let kept = self.directory.join(REPLAYING);
        fs::create_dir(&kept)?;
        sync_directory(&self.directory)?;
        let new = kept.join(NEW);
        write_copy(&new, journals)?;
        for Checked { path, .. } in journals {
            let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
            fs::rename(path, kept.join(name))?;
        }
        // Before the copy has a journal's name: a power cut must not leave the journals of before
        // beside it.
        sync_directory(&kept)?;
        sync_directory(tables)?;
        fs::rename(new, &self.copy)?;
        sync_directory(tables)
    }

    /// Ends it, after the engine has opened and before it is used.
    ///
    /// # Errors
    /// The engine has cut the copy off. The next opening begins with the journals as they were.
    pub fn end(self) -> Result<()> {
        let unusable = |error: io::Error| failure::unusable(&self.copy, &error);
        let len = fs::metadata(&self.copy).map_err(unusable)?.len();
        if len < self.len {
            return Err(Error::Unusable {
                place: self.copy.display().to_string(),
                reason: format!(
                    "it could not be read whole ({len} of {} bytes); nothing is lost, try again, \
                     and look for the cause in the disk",
                    self.len
                ),
            });
        }
        self.forget().map_err(unusable)
    }

    /// From the new name on, nothing puts the journals back.
    fn forget(&self) -> io::Result<()> {
        fs::rename(self.directory.join(REPLAYING), self.directory.join(REPLAYED))?;
        sync_directory(&self.directory)?;
        remove_replayed(&self.directory)
    }
}

fn write_copy(new: &Path, journals: &[Checked]) -> io::Result<()> {
    let mut copy = File::create_new(new)?;
    for Checked { path, end } in journals {
        let copied = io::copy(&mut File::open(path)?.take(*end), &mut copy)?;
        if copied < *end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    copy.sync_all()
}
