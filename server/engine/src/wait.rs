//! Callers that wait for a job's visible state. They are told after the commit that made it so, or
//! when `watch` reads it from the store.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jobtracker_model::{JobId, State, StateSet};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Waits at once, of all callers; past it a wait is refused as overload.
const WAITERS: u64 = 50_000;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_job: Mutex<HashMap<JobId, Vec<Waiter>>>,
    /// The number of waits, so that a commit does not take the lock when there are none.
    count: AtomicU64,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    states: StateSet,
    tell: oneshot::Sender<State>,
}

/// A registered wait; dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    waiters: Arc<Waiters>,
    id: JobId,
    number: u64,
    pub told: oneshot::Receiver<State>,
}

impl Waiters {
    /// Registers a wait; the caller reads the state only after this, so that no change is missed.
    /// `None`: too many callers wait already.
    pub fn register(self: &Arc<Self>, id: JobId, states: StateSet) -> Option<Waiting> {
        if self.count.fetch_add(1, Ordering::SeqCst) >= WAITERS {
            self.count.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.by_job.lock().entry(id).or_default().push(Waiter { number, states, tell });
        Some(Waiting { waiters: Arc::clone(self), id, number, told })
    }

    /// Tells the waiters of new visible states.
    pub fn tell(&self, became: &[(JobId, State)]) {
        if became.is_empty() || self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut by_job = self.by_job.lock();
        for (id, state) in became {
            let Some(waiters) = by_job.get_mut(id) else { continue };
            let there = waiters.extract_if(.., |waiter| waiter.states.contains(*state));
            for waiter in there {
                // The waiter may be gone; then it needs no answer.
                let _ = waiter.tell.send(*state);
            }
        }
    }

    /// The jobs for which a caller waits.
    pub fn awaited(&self) -> Vec<JobId> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let by_job = self.by_job.lock();
        let awaited = by_job.iter().filter(|(_, waiters)| !waiters.is_empty());
        awaited.map(|(id, _)| *id).collect()
    }

    /// Ends all waits, by closing their channels.
    pub fn dismiss(&self) {
        self.by_job.lock().clear();
    }

    fn leave(&self, id: JobId, number: u64) {
        let mut by_job = self.by_job.lock();
        if let Some(waiters) = by_job.get_mut(&id) {
            waiters.retain(|waiter| waiter.number != number);
            if waiters.is_empty() {
                by_job.remove(&id);
            }
        }
        drop(by_job);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.leave(self.id, self.number);
    }
}
