use std::{
    collections::{BTreeSet, HashSet},
    sync::atomic::{AtomicBool, Ordering},
};

use jobtracker_model::JobId;
use jobtracker_store::{Row, TreeCommit};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Trees whose ends one caller waits for. Nothing is copied from their commits, and a tree that is
/// not among them costs a look at a set.
#[derive(Debug, Default)]
pub(super) struct Ends {
    is_used: AtomicBool,
    trees: Mutex<Trees>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Trees {
    watched: HashSet<JobId>,
    /// Those of them that have ended since the caller asked.
    ended: BTreeSet<JobId>,
}

impl Ends {
    pub fn watch(&self, root: JobId) {
        self.trees.lock().watched.insert(root);
        self.is_used.store(true, Ordering::Release);
    }

    pub fn forget(&self, root: JobId) {
        let mut trees = self.trees.lock();
        trees.watched.remove(&root);
        trees.ended.remove(&root);
        self.is_used.store(!trees.watched.is_empty(), Ordering::Release);
    }

    /// Whether a commit may be the end of a tree that is watched.
    pub fn is_end(&self, commit: &TreeCommit) -> bool {
        if !self.is_used.load(Ordering::Acquire) {
            return false;
        }
        let is_finished = |row: &Row| match row {
            Row::Status { id, status, .. } => *id == commit.root && status.state.is_finished(),
            _ => false,
        };
        let may_end = commit.publishes.is_some()
            || commit.tombstone().is_some()
            || commit.rows.iter().any(is_finished);
        may_end && self.trees.lock().watched.contains(&commit.root)
    }

    pub fn tell(&self, root: JobId) {
        let mut trees = self.trees.lock();
        if trees.watched.contains(&root) {
            trees.ended.insert(root);
            self.told.notify_one();
        }
    }

    /// Those that have ended since the last call.
    pub fn take(&self) -> Vec<JobId> {
        std::mem::take(&mut self.trees.lock().ended).into_iter().collect()
    }

    /// Waits until one has ended.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}
