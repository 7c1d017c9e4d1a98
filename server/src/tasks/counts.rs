//! How many tasks of each key a worker has.

use std::collections::BTreeMap;

use jobtracker_model::{PerWorker, WorkerFilter};

/// By key of a `filter.perWorker`: how many tasks of it a worker has.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(BTreeMap<String, u32>);

impl Counts {
    pub fn new(has: BTreeMap<String, u32>) -> Self {
        Self(has)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the worker may have one more task that asks for this.
    pub fn has_room(&self, filter: &WorkerFilter) -> bool {
        let Some(PerWorker { key, max }) = &filter.per_worker else { return true };
        self.0.get(key).is_none_or(|count| count < max)
    }

    /// Counts a task that the worker gets.
    pub fn add(&mut self, filter: &WorkerFilter) {
        if let Some(PerWorker { key, .. }) = &filter.per_worker {
            *self.0.entry(key.clone()).or_default() += 1;
        }
    }

    /// Counts a task no more that the worker has ended.
    pub fn remove(&mut self, filter: &WorkerFilter) {
        if let Some(PerWorker { key, .. }) = &filter.per_worker
            && let Some(count) = self.0.get_mut(key)
        {
            *count = count.saturating_sub(1);
        }
    }
}
