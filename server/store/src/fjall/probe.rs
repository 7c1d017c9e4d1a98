use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
};

use super::{FjallOptions, failure, space::SpaceGuard};
use crate::{Error, Result};

/// A file that is written and removed again to see whether the disk can be written.
pub const PROBE: &str = "PROBE";
const PROBE_BYTES: usize = 64 * 1024;
/// Descriptors that have to be free before the engine is opened: what it needs besides those that
/// it gives back when it is closed.
const DESCRIPTORS: usize = 16;

/// Tells whether the engine would find what it needs.
pub struct Probe {
    directory: PathBuf,
    space: SpaceGuard,
}

impl Probe {
    pub fn new(options: &FjallOptions) -> Self {
        Self { directory: options.directory.clone(), space: SpaceGuard::new(options) }
    }

    /// Checks for space for `buffered` bytes that are not in tables yet, for descriptors, and for a
    /// disk that can be written.
    pub fn check(&mut self, buffered: u64) -> Result<()> {
        // An engine that is open makes room; one that is closed does not.
        if !self.space.check_reserve(buffered) {
            self.space.check(buffered)?;
        }
        self.descriptors().and_then(|()| self.write()).map_err(|error| {
            if failure::is_full(&error) {
                return Error::Full(error.to_string());
            }
            Error::Unavailable(format!("the store cannot be opened now: {error}"))
        })
    }

    fn descriptors(&self) -> io::Result<()> {
        let open = |_| File::open(&self.directory);
        (0..DESCRIPTORS).map(open).collect::<io::Result<Vec<_>>>().map(drop)
    }

    fn write(&self) -> io::Result<()> {
        let path = self.directory.join(PROBE);
        let mut file = File::create(&path)?;
        let written = file.write_all(&[1; PROBE_BYTES]).and_then(|()| file.sync_all());
        fs::remove_file(path)?;
        written
    }
}
