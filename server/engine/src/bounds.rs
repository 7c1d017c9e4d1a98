//! The limits of the engine's load: operations and bytes that have been taken and not answered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::metrics::Metrics;

pub(crate) struct Bounds {
    operations: AtomicUsize,
    bytes: AtomicUsize,
    operations_max: usize,
    bytes_max: usize,
    metrics: Metrics,
}

/// The share that one operation has of the bounds; dropping it gives it back.
pub(crate) struct Share {
    bounds: Arc<Bounds>,
    pub bytes: usize,
}

impl Bounds {
    pub fn new(operations_max: usize, bytes_max: usize, metrics: Metrics) -> Arc<Self> {
        let (operations, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { operations, bytes, operations_max, bytes_max, metrics })
    }

    /// Takes a share, unless that would pass the bounds. An operation that is larger than the byte
    /// limit is taken when no other operation is held.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        self.metrics.waiting.inc();
        let before = self.bytes.fetch_add(bytes, Ordering::SeqCst);
        let others = self.operations.fetch_add(1, Ordering::SeqCst);
        // The share is counted from here on: dropping it takes it back.
        let share = Share { bounds: Arc::clone(self), bytes };
        let fits = others == 0 || before + bytes <= self.bytes_max;
        (others < self.operations_max && fits).then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bounds.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.bounds.operations.fetch_sub(1, Ordering::SeqCst);
        self.bounds.metrics.waiting.dec();
    }
}
