use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering, fence},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Callers that wait for the end of a step, or of a run. Where none waits, an end costs one read of
/// a counter.
#[derive(Default)]
pub(crate) struct Watchers {
    waiting: AtomicUsize,
    by_end: Mutex<BTreeMap<End, Arc<Notify>>>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Step(u32),
    Run,
}

impl Watchers {
    /// Waits until `get` has something. The code that makes it so calls
    /// [`wake`](Self::wake) after it.
    pub(crate) async fn until<T>(&self, end: End, get: impl Fn() -> Option<T>) -> T {
        loop {
            if let Some(found) = get() {
                return found;
            }
            let waiting = Waiting::new(&self.waiting);
            let notify = Arc::clone(self.by_end.lock().entry(end).or_default());
            let mut notified = std::pin::pin!(notify.notified());
            notified.as_mut().enable();
            // Either this sees what the other has done, or the other sees this one waiting.
            fence(Ordering::SeqCst);
            if let Some(found) = get() {
                return found;
            }
            notified.await;
            drop(waiting);
        }
    }

    /// Wakes those who wait for this end, which has come.
    pub(crate) fn wake(&self, end: End) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let notify = self.by_end.lock().remove(&end);
        if let Some(notify) = notify {
            notify.notify_waiters();
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
