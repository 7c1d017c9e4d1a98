use std::{ops::Range, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use jobtracker_model::{IdBlock, JobId, NewJob, ReserveIds};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::{Creations, Error, Result, call::Call, request::Http};

/// Gives out ids for new jobs, each once, from blocks that a service has reserved.
///
/// For programs that name jobs before they create them, as a buffered context does. Ids that are
/// left when it is dropped stay unused for ever; there are enough. It must be used inside a tokio
/// runtime.
pub struct IdBlocks {
    reserve: Box<Reserve>,
    size: u32,
    /// With fewer ids left than this, the next block is reserved ahead.
    low: u64,
    state: Arc<Mutex<State>>,
}

/// Reserves this many ids.
type Reserve = dyn Fn(u32) -> BoxFuture<'static, Result<IdBlock>> + Send + Sync;
type Refill = BoxFuture<'static, Result<(), Arc<Error>>>;

#[derive(Default)]
struct State {
    left: Range<u64>,
    /// A block for when those are used up.
    ahead: Range<u64>,
    /// The reservation under way. The calls that wait for it drive it, and the last call that stops
    /// waiting ends it, so no call can leave it half done.
    refill: Option<WeakShared<Refill>>,
}

impl IdBlocks {
    /// Ids in blocks of `size`, 1 to 1,000,000. The next block is reserved when half of one is
    /// used.
    pub fn new(tracker: Arc<dyn Creations>, size: u32) -> Self {
        let reserve = move |count| {
            let tracker = Arc::clone(&tracker);
            async move { tracker.reserve_ids(count).await }.boxed()
        };
        Self {
            reserve: Box::new(reserve),
            size,
            low: u64::from(size / 2) + 1,
            state: Arc::default(),
        }
    }

    /// Ids in blocks that are reserved when they are needed.
    pub(crate) fn on_demand(http: Arc<Http>, size: u32) -> Self {
        let reserve = move |count| {
            let http = Arc::clone(&http);
            async move { reserve(&http, count).await }.boxed()
        };
        Self { reserve: Box::new(reserve), size, low: 0, state: Arc::default() }
    }

    /// The next id. It waits for the service only if ids are used faster than they are reserved. A
    /// future that is dropped has taken none.
    ///
    /// # Errors
    /// [`NoIds`](Error::NoIds): the service did not reserve any. Another call asks anew.
    pub async fn next(&self) -> Result<JobId> {
        let ids = self.take(1, None).await?;
        Ok(JobId::new(ids.start).expect("a service reserves valid ids"))
    }

    /// Gives an id to every job that has none, rising in their order.
    pub(crate) async fn fill(&self, jobs: &mut [NewJob], deadline: Instant) -> Result<()> {
        let missing = jobs.iter().filter(|job| job.id.is_none()).count();
        let count = u32::try_from(missing)
            .map_err(|error| Error::invalid_request_from("too many jobs", error))?;
        if count > 0 {
            let mut ids = self.take(count, Some(deadline)).await?.filter_map(JobId::new);
            for job in jobs.iter_mut().filter(|job| job.id.is_none()) {
                job.id = ids.next();
            }
        }
        Ok(())
    }

    /// Takes `count` ids that follow one another.
    async fn take(&self, count: u32, deadline: Option<Instant>) -> Result<Range<u64>> {
        if count > 1 && count >= self.size {
            // A batch this large would leave nothing of a block for the others.
            let block = (self.reserve)(count).await;
            return block.map(numbers).map_err(|error| Error::NoIds(Arc::new(error)));
        }
        loop {
            let refill = match self.try_take(count) {
                Ok(taken) => return Ok(taken),
                Err(refill) => refill,
            };
            // The reservation may be an older call's, so it does not know this deadline.
            let refilled = match deadline {
                None => refill.await,
                Some(deadline) => timeout_at(deadline, refill).await.unwrap_or_else(|_| {
                    let last = None;
                    Err(Arc::new(Error::DeadlineExceeded { last, outcome_unknown: false }))
                }),
            };
            match refilled {
                Ok(()) => {}
                // The call that began it had less time than this one has.
                Err(error)
                    if matches!(*error, Error::DeadlineExceeded { .. })
                        && deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
                Err(error) => return Err(Error::NoIds(error)),
            }
        }
    }

    /// Takes ids that are there, or says what to wait for.
    fn try_take(&self, count: u32) -> Result<Range<u64>, Shared<Refill>> {
        let mut state = self.state.lock();
        let taken = state.take(count);
        let is_low = state.ahead.is_empty() && state.left.end - state.left.start < self.low;
        if !is_low && let Some(taken) = taken {
            return Ok(taken);
        }
        let running = state.refill.as_ref().and_then(WeakShared::upgrade);
        let is_running = running.is_some();
        let refill = running.unwrap_or_else(|| {
            let refill = self.refill().shared();
            state.refill = refill.downgrade();
            refill
        });
        let Some(taken) = taken else { return Err(refill) };
        if !is_running {
            // No call waits for it, and none has to hear of its failure: the next one asks anew.
            tokio::spawn(refill);
        }
        Ok(taken)
    }

    /// Reserves another block.
    fn refill(&self) -> Refill {
        let (block, state) = ((self.reserve)(self.size), Arc::clone(&self.state));
        async move {
            let block = block.await;
            let mut state = state.lock();
            // Later calls find ids or begin anew; joining a reservation that has ended would be
            // waiting for nothing.
            state.refill = None;
            state.ahead = numbers(block?);
            Ok(())
        }
        .boxed()
    }
}

impl State {
    fn take(&mut self, count: u32) -> Option<Range<u64>> {
        if self.left.end - self.left.start < u64::from(count) && !self.ahead.is_empty() {
            self.left = std::mem::take(&mut self.ahead);
        }
        let end = self.left.start + u64::from(count);
        if end > self.left.end {
            return None;
        }
        let taken = self.left.start..end;
        self.left.start = end;
        Some(taken)
    }
}

impl std::fmt::Debug for IdBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdBlocks").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Reserves ids at the service.
pub(crate) async fn reserve(http: &Http, count: u32) -> Result<IdBlock> {
    let reply = http.send(Call::post("api/v1/ids", &ReserveIds { count })?).await?;
    let block: IdBlock = reply.json()?;
    if block.count != count || JobId::new(numbers(block).end - 1).is_none() {
        return Err(reply.invalid(format!("it is not a block of {count} ids")));
    }
    Ok(block)
}

fn numbers(block: IdBlock) -> Range<u64> {
    let first = block.first.get();
    first..first + u64::from(block.count)
}
