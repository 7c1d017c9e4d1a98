use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// What a recorded operation takes of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub operations: u64,
    /// Its size in memory, roughly.
    pub bytes: u64,
}

impl Cost {
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.bytes += other.bytes;
    }

    pub fn take(&mut self, other: Self) {
        self.operations -= other.operations;
        self.bytes -= other.bytes;
    }
}

/// What happens when there is no room for an operation that is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused with [`Error::Full`](crate::Error::Full).
    #[default]
    Refuse,
    /// It waits until a flush has made room. Another task has to flush, or the context itself in
    /// the background.
    Wait,
    /// The context flushes what it has, and the task that records waits for it.
    Flush,
}

/// A cost that many tasks add to at once.
#[derive(Default)]
struct Sum {
    operations: AtomicU64,
    bytes: AtomicU64,
}

impl Sum {
    fn add(&self, cost: Cost) {
        self.operations.fetch_add(cost.operations, SeqCst);
        self.bytes.fetch_add(cost.bytes, SeqCst);
    }

    fn take(&self, cost: Cost) {
        self.operations.fetch_sub(cost.operations, SeqCst);
        self.bytes.fetch_sub(cost.bytes, SeqCst);
    }

    fn get(&self) -> Cost {
        Cost { operations: self.operations.load(SeqCst), bytes: self.bytes.load(SeqCst) }
    }
}

/// Counts the operations in the buffer that have no outcome yet, and keeps them within bounds.
pub(crate) struct Budget {
    pub most: Cost,
    all: Sum,
    /// The part of it that is on its way.
    frozen: Sum,
    /// Notified when operations have left.
    pub room: Notify,
}

/// A share of the budget. A share that is not kept goes back.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    cost: Cost,
}

impl Budget {
    pub fn new(most: Cost) -> Self {
        Self { most, all: Sum::default(), frozen: Sum::default(), room: Notify::new() }
    }

    /// A share, if there is room for it.
    pub fn take(&self, cost: Cost) -> Option<Share<'_>> {
        let fits =
            |most: u64, more: u64| move |now: u64| (now + more <= most).then_some(now + more);
        let operations = fits(self.most.operations, cost.operations);
        self.all.operations.fetch_update(SeqCst, SeqCst, operations).ok()?;
        let bytes = fits(self.most.bytes, cost.bytes);
        if self.all.bytes.fetch_update(SeqCst, SeqCst, bytes).is_err() {
            // No task is told of this room: a waiting task would ask, fail, and wake the others
            // for ever.
            self.all.operations.fetch_sub(cost.operations, SeqCst);
            return None;
        }
        Some(Share { budget: self, cost })
    }

    /// A share, even beyond the bounds.
    pub fn take_anyway(&self, cost: Cost) -> Share<'_> {
        self.all.add(cost);
        Share { budget: self, cost }
    }

    pub fn freeze(&self, cost: Cost) {
        self.frozen.add(cost);
    }

    /// Frozen operations have an outcome.
    pub fn settle(&self, cost: Cost) {
        self.frozen.take(cost);
        self.give_back(cost);
    }

    /// All operations that have no outcome yet.
    pub fn pending(&self) -> Cost {
        self.all.get()
    }

    /// Operations that are not on their way.
    pub fn unsent(&self) -> Cost {
        let frozen = self.frozen.get();
        let all = self.pending();
        Cost {
            operations: all.operations.saturating_sub(frozen.operations),
            bytes: all.bytes.saturating_sub(frozen.bytes),
        }
    }

    pub fn give_back(&self, cost: Cost) {
        self.all.take(cost);
        if cost != Cost::default() {
            self.room.notify_waiters();
        }
    }
}

impl Share<'_> {
    /// The operation has been recorded: the share is kept.
    pub fn keep(mut self) {
        self.cost = Cost::default();
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.cost != Cost::default() {
            self.budget.give_back(self.cost);
        }
    }
}
