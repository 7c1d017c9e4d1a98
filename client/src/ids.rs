use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use jobtracker_model::{IdBlock, JobId, NewJob, ReserveIds};
use tokio::time::{Instant, timeout_at};

use crate::{Error, Result, call::Call, request::Http};

/// Gives out ids for new jobs, each once, from blocks that the service has reserved.
///
/// Ids that are left when the client is dropped, or when a batch needs more than are left, stay
/// unused for ever; there are enough.
pub(crate) struct Ids {
    http: Arc<Http>,
    block_size: u32,
    state: Arc<Mutex<State>>,
}

type Refill = BoxFuture<'static, Result<(), Arc<Error>>>;

#[derive(Default)]
struct State {
    left: Range<u64>,
    /// The reservation under way. The calls that wait for it drive it, and the last call that stops
    /// waiting ends it, so no call can leave it half done.
    refill: Option<WeakShared<Refill>>,
}

impl Ids {
    pub(crate) fn new(http: Arc<Http>, block_size: u32) -> Self {
        Self { http, block_size, state: Arc::default() }
    }

    /// Gives an id to every job that has none, rising in their order.
    pub(crate) async fn fill(&self, jobs: &mut [NewJob], deadline: Instant) -> Result<()> {
        let missing = jobs.iter().filter(|job| job.id.is_none()).count();
        let count = u32::try_from(missing)
            .map_err(|error| Error::invalid_request_from("too many jobs", error))?;
        if count > 0 {
            let mut ids = self.take(count, deadline).await?.filter_map(JobId::new);
            for job in jobs.iter_mut().filter(|job| job.id.is_none()) {
                job.id = ids.next();
            }
        }
        Ok(())
    }

    /// Takes `count` ids that follow one another.
    async fn take(&self, count: u32, deadline: Instant) -> Result<Range<u64>> {
        if count > 1 && count >= self.block_size {
            // A batch this large would leave nothing of a block for the others.
            let block = reserve(&self.http, count, deadline).await;
            return block.map(numbers).map_err(|error| Error::NoIds(Arc::new(error)));
        }
        loop {
            let refill = {
                let mut state = lock(&self.state);
                if let Some(taken) = state.take(count) {
                    return Ok(taken);
                }
                state.refill.as_ref().and_then(WeakShared::upgrade).unwrap_or_else(|| {
                    let refill = self.refill(deadline).shared();
                    state.refill = refill.downgrade();
                    refill
                })
            };
            // The reservation may be an older call's, so it does not know this deadline.
            let refilled = timeout_at(deadline, refill).await.unwrap_or_else(|_| {
                let last = None;
                Err(Arc::new(Error::DeadlineExceeded { last, outcome_unknown: false }))
            });
            match refilled {
                Ok(()) => {}
                // The call that began it had less time than this one has.
                Err(error)
                    if matches!(*error, Error::DeadlineExceeded { .. })
                        && Instant::now() < deadline => {}
                Err(error) => return Err(Error::NoIds(error)),
            }
        }
    }

    /// Replaces the rest of the old block with a new one.
    fn refill(&self, deadline: Instant) -> Refill {
        let (http, state, count) =
            (Arc::clone(&self.http), Arc::clone(&self.state), self.block_size);
        async move {
            let block = reserve(&http, count, deadline).await;
            let mut state = lock(&state);
            // Later calls find ids or begin anew; joining a reservation that has ended would be
            // waiting for nothing.
            state.refill = None;
            state.left = numbers(block?);
            Ok(())
        }
        .boxed()
    }
}

impl State {
    fn take(&mut self, count: u32) -> Option<Range<u64>> {
        let end = self.left.start + u64::from(count);
        if end > self.left.end {
            return None;
        }
        let taken = self.left.start..end;
        self.left.start = end;
        Some(taken)
    }
}

/// Reserves ids at the service.
pub(crate) async fn reserve(http: &Http, count: u32, deadline: Instant) -> Result<IdBlock> {
    let reply = http.send(Call::post("api/v1/ids", &ReserveIds { count })?.by(deadline)).await?;
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

/// No code panics while it holds the lock, so the state inside is consistent.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
