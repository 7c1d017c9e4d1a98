//! Tells the readers of what is due that a commit has put something there.

use std::{collections::HashMap, time::Duration};

use jobtracker_model::{JobId, Timestamp};
use jobtracker_store::{IndexId, Store, TreeCommit};
use tokio::sync::Notify;

use crate::group::Failed;

/// Nobody is told of what becomes due later than this after its commit. A reader that looks as far
/// ahead, at least as often, finds it in time.
pub const SOON: Duration = Duration::from_secs(2);

/// The parts of the list of what is due, each with those who wait for something there.
pub(crate) struct DueParts(Vec<Notify>);

/// The parts, by tree, into which commits under way put something that is due soon.
pub(crate) type DueIn = HashMap<JobId, u32>;

impl DueParts {
    pub fn new(store: &dyn Store) -> Self {
        Self((0..store.index_parts()).map(|_| Notify::new()).collect())
    }

    /// Waits until something has been put into a part since the last time that this ended.
    pub async fn changed(&self, part: u32) {
        match self.0.get(part as usize) {
            Some(changes) => changes.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Tells of commits that have ended. One that failed has put nothing there; of one with an
    /// unknown outcome the next look tells.
    pub fn tell(&self, due: &DueIn, failed: &Failed) {
        let there = due.iter().filter(|(root, _)| !failed.contains_key(root));
        for changes in there.filter_map(|(_, part)| self.0.get(*part as usize)) {
            changes.notify_one();
        }
    }
}

/// Which of the commits put something that is due soon where.
pub(crate) fn due_in(commits: &[TreeCommit], now: Timestamp, store: &dyn Store) -> DueIn {
    let soon = now.after(SOON);
    let is_due = |commit: &&TreeCommit| {
        let mut places = commit.rows.iter().filter_map(jobtracker_store::Row::place);
        places.any(|(index, key)| index == IndexId::Due && key.time <= soon)
    };
    commits.iter().filter(is_due).map(|tree| (tree.root, store.index_part(tree.root))).collect()
}
