//! The file in which servers note when one of them was up. It is written every few seconds and may
//! be lost, so it is none of the tables, whose writes wait for the disk.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::failure;
use crate::Result;

const NOTE: &str = "UPTIME";
const NOTE_NEW: &str = "UPTIME.new";
/// Names of its files.
pub const NAMES: [&str; 2] = [NOTE, NOTE_NEW];

/// The path of the note in the directory of a store.
#[derive(Debug, Clone)]
pub struct Uptime(PathBuf);

impl Uptime {
    pub fn in_directory(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// Reads it. Blocks.
    pub fn get(&self) -> Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(NOTE)) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure::unusable(&self.0.join(NOTE), &error)),
        }
    }

    /// Writes it: afterwards the old note or the new one is there, even if the process is killed.
    /// Blocks.
    pub fn put(&self, note: &[u8]) -> Result<()> {
        let new = self.0.join(NOTE_NEW);
        let write = || -> io::Result<()> {
            private(&new)?.write_all(note)?;
            fs::rename(&new, self.0.join(NOTE))
        };
        write().map_err(|error| failure::unusable(&new, &error))
    }
}

/// Creates a file that only its owner can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
