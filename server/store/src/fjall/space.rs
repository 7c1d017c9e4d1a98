use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{FjallOptions, FreeSpace, tables};
use crate::{Error, Result};

/// How long, and for how many bytes, an answer that there is space is good for.
const GOOD_FOR: Duration = Duration::from_millis(50);
const GOOD_FOR_BYTES: u64 = 8 * 1024 * 1024;

/// Keeps the disk from filling up: with no space left the engine could neither finish a table nor
/// merge any, and would have to be restarted.
pub struct SpaceGuard {
    directory: PathBuf,
    free_space: FreeSpace,
    floor: u64,
    /// How much of the free space work may use up that makes room in the end.
    reserve: u64,
    asked: Option<Instant>,
    written: u64,
    free: u64,
}

impl SpaceGuard {
    pub fn new(options: &FjallOptions) -> Self {
        Self {
            directory: options.directory.clone(),
            free_space: options.free_space.clone(),
            // A merge writes its new tables before the old ones go.
            floor: options.min_free_bytes + 4 * tables::TABLE,
            reserve: options.min_free_bytes / 2,
            asked: None,
            written: 0,
            free: u64::MAX,
        }
    }

    /// Whether there is space for another group, with `buffered` bytes not yet in tables.
    pub fn check(&mut self, buffered: u64) -> Result<()> {
        let floor = self.floor + 2 * buffered;
        let fresh = self.asked.is_some_and(|asked| asked.elapsed() < GOOD_FOR);
        // While the disk is full every group asks, so that writing goes on as soon as it can.
        if !fresh || self.written > GOOD_FOR_BYTES || self.free < floor {
            self.ask();
        }
        if self.free >= floor {
            return Ok(());
        }
        Err(Error::Full(format!(
            "{} has {} MiB left, {} MiB are kept free; make room or give the store a larger disk",
            self.directory.display(),
            self.free >> 20,
            floor >> 20,
        )))
    }

    /// Whether there is space for work that makes room in the end: it may go on with less.
    pub fn check_reserve(&mut self, buffered: u64) -> bool {
        self.check(buffered).is_ok() || self.free + self.reserve >= self.floor + 2 * buffered
    }

    /// Tells how much a group has written.
    pub fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// The free space when it was last asked for.
    pub fn free(&self) -> u64 {
        self.free
    }

    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        self.written = 0;
        self.free = (self.free_space)(&self.directory).unwrap_or_else(|error| {
            let directory = self.directory.display();
            tracing::warn!(%error, "cannot find out how much space {directory} has left");
            u64::MAX
        });
    }
}
