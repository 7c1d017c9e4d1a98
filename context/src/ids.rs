use std::{
    ops::Range,
    sync::{Arc, Weak},
};

use jobtracker_client::{ContextTracker, Error as ClientError};
use jobtracker_model::JobId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Error, Result};

/// Gives out ids for new jobs, each once.
pub(crate) struct Ids {
    /// What reserves more; none, if the context was given its ids.
    source: Option<Source>,
    state: Mutex<State>,
    /// Notified when a reservation has ended.
    refilled: Notify,
}

struct Source {
    tracker: Arc<dyn ContextTracker>,
    block_size: u32,
}

#[derive(Default)]
struct State {
    left: Range<u64>,
    /// Ids that are reserved ahead, for when those are used up.
    ahead: Option<Range<u64>>,
    is_refilling: bool,
    /// Why the last reservation failed, until the next one begins.
    failure: Option<Arc<ClientError>>,
}

impl Ids {
    /// Ids in blocks that the service reserves.
    pub fn reserved(tracker: Arc<dyn ContextTracker>, block_size: u32) -> Arc<Self> {
        Self::with(Some(Source { tracker, block_size }), 0..0)
    }

    /// These ids and no others.
    pub fn given(numbers: Range<u64>) -> Arc<Self> {
        Self::with(None, numbers)
    }

    fn with(source: Option<Source>, left: Range<u64>) -> Arc<Self> {
        let state = Mutex::new(State { left, ..State::default() });
        Arc::new(Self { source, state, refilled: Notify::new() })
    }

    /// The next id. It waits for the service only if ids are used faster than they are reserved.
    pub async fn next(self: &Arc<Self>) -> Result<JobId> {
        let mut has_waited = false;
        loop {
            let refilled = self.refilled.notified();
            if let Some(id) = self.take(has_waited)? {
                return Ok(id);
            }
            refilled.await;
            has_waited = true;
        }
    }

    /// The next id, if there is one. Sees to it that there will be.
    fn take(self: &Arc<Self>, has_waited: bool) -> Result<Option<JobId>> {
        let mut state = self.state.lock();
        if state.left.is_empty()
            && let Some(ahead) = state.ahead.take()
        {
            state.left = ahead;
        }
        let id = state.left.next().and_then(JobId::new);
        let Some(source) = &self.source else { return id.map(Some).ok_or(Error::IdsUsedUp) };
        let left = state.left.end - state.left.start;
        let is_low = state.ahead.is_none() && left <= u64::from(source.block_size / 2);
        if is_low && !state.is_refilling {
            // A call that has waited gets the error; a new call has another try.
            if let Some(failure) = state.failure.as_ref().filter(|_| has_waited && id.is_none()) {
                return Err(Error::NoIds(Arc::clone(failure)));
            }
            state.failure = None;
            state.is_refilling = true;
            let refill =
                refill(Arc::downgrade(self), Arc::clone(&source.tracker), source.block_size);
            tokio::spawn(refill);
        }
        Ok(id)
    }
}

async fn refill(ids: Weak<Ids>, tracker: Arc<dyn ContextTracker>, count: u32) {
    let reserved = tracker.reserve_ids(count).await;
    let Some(ids) = ids.upgrade() else { return };
    let mut state = ids.state.lock();
    state.is_refilling = false;
    match reserved {
        Ok(block) => {
            let first = block.first.get();
            state.ahead = Some(first..first + u64::from(block.count));
        }
        Err(error) => state.failure = Some(Arc::new(error)),
    }
    drop(state);
    ids.refilled.notify_waiters();
}
