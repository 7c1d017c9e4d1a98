use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use jobtracker_model::{Change, Definition};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    follow_ups::FollowUps,
    tree::{Extras, FrozenJob, Node, Noted},
};

/// What a recorded operation takes of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub operations: u64,
    /// Its size in memory, roughly.
    pub bytes: u64,
}

/// A job with its place in the map and in a batch; allocators add some.
const JOB: usize = size_of::<Node>() + size_of::<FrozenJob>() + size_of::<Definition>() + 64;

impl Cost {
    pub fn creation(definition: &Definition, follow_ups: Option<&FollowUps>) -> Self {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tags: usize = definition.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        let bytes = JOB + definition.name.len() + definition.created_by.len() + tags;
        let followed = follow_ups.map_or(0, |these| size_of::<Extras>() + these.bytes());
        Self::one(bytes + text(&definition.options) + text(&definition.source_link) + followed)
    }

    /// A change with these texts.
    pub fn change(texts: [&Option<String>; 3]) -> Self {
        let length: usize = texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum();
        let boxed = if texts.iter().any(|text| text.is_some()) { size_of::<Change>() } else { 0 };
        Self::one(size_of::<Noted>() + boxed + length)
    }

    pub fn options(options: Option<&str>) -> Self {
        Self::one(size_of::<Noted>() + options.map_or(0, str::len))
    }

    pub fn lines(lines: &[String]) -> Self {
        let texts: usize = lines.iter().map(String::len).sum();
        let bytes = lines.len() * size_of::<Noted>() + texts;
        Self { operations: lines.len() as u64, bytes: bytes as u64 }
    }

    fn one(bytes: usize) -> Self {
        Self { operations: 1, bytes: bytes as u64 }
    }

    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.bytes += other.bytes;
    }

    pub fn take(&mut self, other: Self) {
        self.operations -= other.operations;
        self.bytes -= other.bytes;
    }
}

/// Counts the operations in the buffer that have no outcome yet, and keeps them within bounds.
pub(crate) struct Budget {
    pub most: Cost,
    operations: AtomicU64,
    bytes: AtomicU64,
    /// The part of it that is on its way.
    frozen_operations: AtomicU64,
    frozen_bytes: AtomicU64,
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
        let zero = || AtomicU64::new(0);
        Self {
            most,
            operations: zero(),
            bytes: zero(),
            frozen_operations: zero(),
            frozen_bytes: zero(),
            room: Notify::new(),
        }
    }

    /// A share, if there is room for it.
    pub fn take(&self, cost: Cost) -> Option<Share<'_>> {
        let fits =
            |most: u64, more: u64| move |now: u64| (now + more <= most).then_some(now + more);
        let operations = fits(self.most.operations, cost.operations);
        self.operations.fetch_update(SeqCst, SeqCst, operations).ok()?;
        let bytes = fits(self.most.bytes, cost.bytes);
        if self.bytes.fetch_update(SeqCst, SeqCst, bytes).is_err() {
            // No task is told of this room: a waiting task would ask, fail, and wake the others
            // for ever.
            self.operations.fetch_sub(cost.operations, SeqCst);
            return None;
        }
        Some(Share { budget: self, cost })
    }

    /// A share, even beyond the bounds.
    pub fn take_anyway(&self, cost: Cost) -> Share<'_> {
        self.operations.fetch_add(cost.operations, SeqCst);
        self.bytes.fetch_add(cost.bytes, SeqCst);
        Share { budget: self, cost }
    }

    pub fn freeze(&self, cost: Cost) {
        self.frozen_operations.fetch_add(cost.operations, SeqCst);
        self.frozen_bytes.fetch_add(cost.bytes, SeqCst);
    }

    /// Frozen operations have an outcome.
    pub fn settle(&self, cost: Cost) {
        self.frozen_operations.fetch_sub(cost.operations, SeqCst);
        self.frozen_bytes.fetch_sub(cost.bytes, SeqCst);
        self.give_back(cost);
    }

    /// All operations that have no outcome yet.
    pub fn pending(&self) -> Cost {
        Cost { operations: self.operations.load(SeqCst), bytes: self.bytes.load(SeqCst) }
    }

    /// Operations that are not on their way.
    pub fn unsent(&self) -> Cost {
        let (operations, bytes) =
            (self.frozen_operations.load(SeqCst), self.frozen_bytes.load(SeqCst));
        let all = self.pending();
        Cost {
            operations: all.operations.saturating_sub(operations),
            bytes: all.bytes.saturating_sub(bytes),
        }
    }

    pub fn give_back(&self, cost: Cost) {
        self.operations.fetch_sub(cost.operations, SeqCst);
        self.bytes.fetch_sub(cost.bytes, SeqCst);
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
