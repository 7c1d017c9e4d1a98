use std::{
    collections::VecDeque,
    io::{self, Write},
    panic,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jobtracker_client::ContextTracker;
use jobtracker_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::{
    Flushed,
    budget::{Budget, Cost, WhenFull},
    buffer::Buffer,
    ids::Ids,
    paths::Paths,
    upload::{Batch, Refused},
};

/// The state that all handles of a context share.
pub(crate) struct Inner {
    pub tracker: Arc<dyn ContextTracker>,
    pub buffer: Buffer,
    pub budget: Budget,
    pub when_full: WhenFull,
    pub clock: Clock,
    pub ids: Ids,
    pub paths: Paths,
    /// The batches that were taken out to be sent and have no outcome yet; the oldest first.
    pub queue: Mutex<VecDeque<Arc<Batch>>>,
    /// Held by the flush whose turn it is.
    pub turn: Semaphore,
    /// The trees that were refused, until the caller takes them.
    pub refused: Mutex<Vec<Refused>>,
    /// The outcome of background flushes, until a caller asks.
    pub unreported: Mutex<Flushed>,
    pub uploads: AtomicU64,
    pub failed_flushes: AtomicU64,
    /// What starts a flush in the background.
    pub auto: Auto,
}

/// The clock.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// When to flush in the background.
pub(crate) struct Auto {
    pub at: Cost,
    /// Notified when a bound is reached.
    pub wake: Arc<Notify>,
}

/// Contexts that were dropped with something in them.
static UNSENT_DROPS: AtomicU64 = AtomicU64::new(0);

/// How many contexts of this process were dropped while they held something that had not been
/// sent, or whose outcome was unknown, or that was refused. Each has logged a warning too, or said
/// so on the standard error if no subscriber of `tracing` takes warnings.
#[must_use]
pub fn unsent_drops() -> u64 {
    UNSENT_DROPS.load(Relaxed)
}

impl Inner {
    /// Starts a flush if enough has been recorded.
    pub fn recorded(&self) {
        if self.auto.at != NEVER {
            let unsent = self.budget.unsent();
            if unsent.operations >= self.auto.at.operations || unsent.bytes >= self.auto.at.bytes {
                self.auto.wake.notify_one();
            }
        }
    }
}

/// A bound that is never reached.
pub(crate) const NEVER: Cost = Cost { operations: u64::MAX, bytes: u64::MAX };

impl Drop for Inner {
    fn drop(&mut self) {
        // The background task that waits there sees that no context is left.
        self.auto.wake.notify_one();
        let Cost { operations, .. } = self.budget.pending();
        // The journal is ended here, so that the message about it is true.
        let in_journal = self.buffer.take_journal().is_some_and(|journal| journal.finish().is_ok());
        if operations > 0 {
            UNSENT_DROPS.fetch_add(1, Relaxed);
            tell_of_drop(operations, in_journal);
        }
    }
}

/// Says what a context leaves behind: to a subscriber of `tracing`, or else on the standard error.
/// It may be said in the middle of a panic, where another one would end the process.
fn tell_of_drop(operations: u64, in_journal: bool) {
    let told = panic::catch_unwind(|| {
        let listens = tracing::enabled!(tracing::Level::WARN);
        tracing::warn!(
            operations,
            in_journal,
            "a context was dropped with changes that have not been sent"
        );
        listens
    });
    if !told.unwrap_or(false) {
        let kept = if in_journal { "the journal has them" } else { "they are lost" };
        // Unlike with `eprintln!`, an error output that is closed is no reason to panic.
        let _ = writeln!(
            io::stderr(),
            "jobtracker: a context was dropped with {operations} operations that have not been \
             sent; {kept}"
        );
    }
}
