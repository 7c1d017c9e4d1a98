//! Tells the readers of the index of due follow-ups that a commit has added entries to it.

use std::{collections::HashMap, time::Duration};

use jobtracker_model::{JobId, Timestamp};
use jobtracker_store::{IndexId, Store, TreeCommit};
use tokio::sync::Notify;

use crate::group::Failed;

/// Entries that become due later than this after their commit are not announced. A reader that
/// reads this far ahead, at least this often, finds them in time.
pub const SOON: Duration = Duration::from_secs(2);

/// The parts of the index of what is due, each with the readers that wait for new entries there.
pub(crate) struct DueParts(Vec<Notify>);

/// The part, by tree, to which a commit under way adds an entry that is due soon.
pub(crate) type DueIn = HashMap<JobId, u32>;

impl DueParts {
    pub fn new(store: &dyn Store) -> Self {
        Self((0..store.index_parts()).map(|_| Notify::new()).collect())
    }

    /// Waits until an entry was added to a part since the last time that this ended.
    pub async fn changed(&self, part: u32) {
        match self.0.get(part as usize) {
            Some(changes) => changes.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Announces commits that have ended. A commit that failed has added nothing; after one with an
    /// unknown outcome the next read finds out.
    pub fn tell(&self, due: &DueIn, failed: &Failed) {
        let there = due.iter().filter(|(root, _)| !failed.contains_key(root));
        for changes in there.filter_map(|(_, part)| self.0.get(*part as usize)) {
            changes.notify_one();
        }
    }
}

/// Which of the commits add an entry that is due soon, and to which part.
pub(crate) fn due_in(commits: &[TreeCommit], now: Timestamp, store: &dyn Store) -> DueIn {
    let soon = now.after(SOON);
    let is_due = |commit: &&TreeCommit| {
        let mut places = commit.rows.iter().filter_map(jobtracker_store::Row::place);
        places.any(|(index, key)| index == IndexId::Due && key.time <= soon)
    };
    commits.iter().filter(is_due).map(|tree| (tree.root, store.index_part(tree.root))).collect()
}
