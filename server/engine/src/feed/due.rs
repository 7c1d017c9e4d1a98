use std::time::Duration;

use jobtracker_model::Timestamp;
use jobtracker_store::{IndexId, Row, TreeCommit};
use tokio::sync::Notify;

/// Entries that become due later than this after their commit are not told. A reader that reads
/// this far ahead, at least this often, finds them in time.
pub const SOON: Duration = Duration::from_secs(2);

/// The parts of the index of what is due, each with the readers that wait for new entries there.
pub(super) struct DueParts(Vec<Notify>);

impl DueParts {
    pub fn new(parts: u32) -> Self {
        Self((0..parts).map(|_| Notify::new()).collect())
    }

    /// Waits until an entry was added to a part since the last time that this ended.
    pub async fn changed(&self, part: u32) {
        match self.0.get(part as usize) {
            Some(changes) => changes.notified().await,
            None => std::future::pending().await,
        }
    }

    pub fn tell(&self, part: u32) {
        self.0.get(part as usize).into_iter().for_each(Notify::notify_one);
    }
}

/// Whether a commit adds an entry of an index that is due soon.
pub(super) fn adds_soon(commit: &TreeCommit, of: IndexId, now: Timestamp) -> bool {
    let soon = now.after(SOON);
    let mut entries = commit.rows.iter().filter_map(Row::entry);
    entries.any(|(index, key)| index == of && key.time <= soon)
}
