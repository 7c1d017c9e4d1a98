use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jobtracker_client::JobTracker;
use jobtracker_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::{
    Flushed, WhenFull,
    budget::{Budget, Cost},
    buffer::Buffer,
    commit::Batch,
    ids::Ids,
    paths::Paths,
};

/// What all handles of a context share.
pub(crate) struct Inner {
    pub tracker: Arc<dyn JobTracker>,
    pub buffer: Buffer,
    pub budget: Budget,
    pub when_full: WhenFull,
    pub clock: Clock,
    pub ids: Arc<Ids>,
    pub paths: Paths,
    /// What was taken out to be sent and has no outcome yet; the oldest first.
    pub queue: Mutex<VecDeque<Arc<Batch>>>,
    /// Held by the flush whose turn it is.
    pub turn: Semaphore,
    /// What has become of what was sent in the background, until somebody asks.
    pub unreported: Mutex<Flushed>,
    pub commits: AtomicU64,
    pub failed_flushes: AtomicU64,
    /// What starts a flush in the background.
    pub auto: Auto,
}

/// What tells the time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// When to flush in the background.
pub(crate) struct Auto {
    pub at: Cost,
    /// Told when there is that much.
    pub wake: Arc<Notify>,
}

/// Contexts that were dropped with something in them.
static UNSENT_DROPS: AtomicU64 = AtomicU64::new(0);

/// How many contexts of this process were dropped while they held something that had not been
/// sent, or whose outcome was unknown. Each has logged a warning too.
#[must_use]
pub fn unsent_drops() -> u64 {
    UNSENT_DROPS.load(Relaxed)
}

impl Inner {
    /// Something was recorded; it may be enough for a flush.
    pub fn recorded(&self) {
        if self.auto.at != NEVER {
            let unsent = self.budget.unsent();
            if unsent.operations >= self.auto.at.operations || unsent.bytes >= self.auto.at.bytes {
                self.auto.wake.notify_one();
            }
        }
    }
}

/// More than there ever is.
pub(crate) const NEVER: Cost = Cost { operations: u64::MAX, bytes: u64::MAX };

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever waits there sees that there is nobody left to work for.
        self.auto.wake.notify_one();
        let Cost { operations, .. } = self.budget.pending();
        if operations > 0 {
            UNSENT_DROPS.fetch_add(1, Relaxed);
            let in_journal = self.buffer.journal().is_some();
            tracing::warn!(
                operations,
                in_journal,
                "a context was dropped with changes that have not been sent"
            );
        }
    }
}
