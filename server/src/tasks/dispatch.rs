use jobtracker_engine::{Claim, Engine, SOON, TaskChanged};
use jobtracker_model::{
    ClaimTasks, ClaimedTask, ClaimedTasks, JobId, NewTask, OnNoWorker, Timestamp, WorkerFilter,
    limits,
};
use jobtracker_store::{IndexKey, Store, TaskPhase, TaskRow};
use parking_lot::Mutex;
use std::{
    ops::RangeInclusive,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};

use super::{
    counts::Counts,
    document::WorkerDocument,
    here::Here,
    kept::Kept,
    reader::{Reader, Take, Taken},
    ready::{Candidate, Missed, Ready, Room},
    routing::Routers,
    waiting::{WaitingClaim, WaitingClaims},
    workers::{WorkerError, Workers},
};
use crate::{clock, follow_ups::InProgress};

/// The shortest time between two reads of the index.
const EVERY: Duration = Duration::from_millis(5);
/// How often tasks that other servers have committed are looked for while a worker waits.
const EVERY_SHARED: Duration = Duration::from_millis(250);
/// How often the tasks in memory are looked at that may have waited too long. If the clock was set
/// back, at once.
const OVER_EVERY: Duration = Duration::from_millis(100);
/// How often it is judged again whether there is a worker for a task that fails without one.
const OFFER_EVERY: Duration = Duration::from_secs(5);
/// A pause after the store did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Trees of which no task is given to a worker now, since they are being cancelled.
pub(super) type Cancelling = watch::Sender<Vec<JobId>>;

/// Gives tasks that may be claimed to workers that wait for some.
pub(crate) struct Dispatch {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: Engine,
    pub workers: Arc<Workers>,
    /// The operator's own rules.
    pub routers: Routers,
    pub(super) state: Mutex<State>,
    /// A worker has come for which there was no task in memory.
    hungry: Notify,
    missed: Arc<Missed>,
    pub(super) cancelling: Cancelling,
}

#[derive(Default)]
pub(super) struct State {
    ready: Ready,
    /// Those whose rules choose the workers.
    pub routed: Ready,
    /// Those of them that are kept for a worker.
    pub kept: Kept,
    pub waiting: WaitingClaims,
}

impl State {
    /// Takes tasks for a worker, each with whether another server has chosen it.
    fn take(
        &mut self,
        id: &str,
        worker: &WorkerDocument,
        free: usize,
        counts: &mut Counts,
    ) -> Vec<(Candidate, bool)> {
        let mut taken = self.kept.take(id, free, counts);
        let ready = self.ready.take(id, worker, free - taken.len(), counts);
        taken.extend(ready.into_iter().map(|candidate| (candidate, false)));
        taken
    }

    /// Notes that a worker has ended a task which asked for this.
    pub fn note_end(&mut self, worker: &str, filter: &WorkerFilter) {
        if filter.per_worker.is_some() {
            self.waiting.uncount(worker, filter);
            self.give();
        }
    }

    /// Gives what is ready to those who wait.
    pub fn give(&mut self) {
        for number in self.waiting.numbers() {
            if self.ready.is_empty() && self.kept.is_empty() {
                break;
            }
            let Some(mut waiting) = self.waiting.take(number) else { continue };
            let WaitingClaim { worker, document, free, counts, .. } = &mut waiting;
            let taken = self.take(worker, document, *free, counts);
            if taken.is_empty() {
                self.waiting.put(number, waiting);
            } else {
                // If the worker has gone, they are read again.
                let _ = waiting.give.send(taken);
            }
        }
    }
}

/// Takes a worker from those who wait when it does so no more.
struct Place<'a> {
    dispatch: &'a Dispatch,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.dispatch.state.lock().waiting.take(self.number);
    }
}

impl Dispatch {
    pub fn new(
        store: Arc<dyn Store>,
        engine: Engine,
        workers: Arc<Workers>,
        routers: Routers,
    ) -> Self {
        let (state, hungry, missed) = (Mutex::default(), Notify::new(), Arc::default());
        let cancelling = Cancelling::default();
        Self { store, engine, workers, routers, state, hungry, missed, cancelling }
    }

    /// Claims tasks for a worker; waits for some if there are none. Once the worker has `gone` it
    /// gets no task: that would only come back when its lease has ended.
    pub async fn claim(
        &self,
        worker: &str,
        claim: ClaimTasks,
        gone: impl Future<Output = ()>,
    ) -> Result<ClaimedTasks, WorkerError> {
        let ClaimTasks { free, wait_ms, has } = claim;
        let until = Instant::now() + Duration::from_millis(wait_ms.min(limits::WORKER_WAIT_MS));
        let (free, counts, mut gone) = (free as usize, Counts::new(has), pin!(gone));
        let mut document = Box::pin(self.workers.hear(worker, None)).await?;
        loop {
            if document.draining {
                return Err(WorkerError::Draining(worker.to_owned()));
            }
            let (wanted, waits) = ((free, counts.clone()), (until, gone.as_mut()));
            let taken = self.candidates(worker, document, wanted, waits).await;
            // It may have been told to finish meanwhile.
            document = Box::pin(self.workers.standing(worker)).await?;
            if document.draining {
                return Err(WorkerError::Draining(worker.to_owned()));
            }
            if taken.is_empty() {
                return Ok(ClaimedTasks::default());
            }
            let claims = taken.into_iter().map(|candidate| self.claim_one(worker, candidate));
            // A claim that waits has no room for this.
            let claimed = Box::pin(futures_util::future::join_all(claims)).await;
            let tasks: Vec<ClaimedTask> = claimed.into_iter().flatten().collect();
            if !tasks.is_empty() {
                return Ok(ClaimedTasks { tasks });
            }
        }
    }

    async fn claim_one(
        &self,
        worker: &str,
        (candidate, is_foreign): (Candidate, bool),
    ) -> Option<ClaimedTask> {
        let Candidate { id, epoch, .. } = candidate;
        self.until_not_cancelling(id).await;
        let until = clock::now().after(self.workers.lease());
        let claim = Claim { epoch, worker: worker.to_owned(), until };
        let claimed = match self.engine.claim_task(id, claim).await {
            Ok(claimed) if claimed.done => *claimed.task,
            Ok(TaskChanged { task, .. }) => {
                // Another server's worker has it, or it was cancelled.
                if task.epoch != epoch || !matches!(task.phase, TaskPhase::Waiting(_)) {
                    candidate.settle();
                }
                return None;
            }
            Err(error) => {
                tracing::warn!(job = %id, %error, "a task is not claimed now");
                return None;
            }
        };
        candidate.settle();
        self.hold(worker, id, &claimed);
        if is_foreign {
            self.workers.note_use(worker, &claimed.task.handler);
        }
        let deadline = claimed.deadline();
        let TaskRow { task, epoch, attempt, data, .. } = claimed;
        let NewTask { handler, params, after, shard, timeouts, filter, .. } =
            Arc::unwrap_or_clone(task.clone());
        Some(ClaimedTask {
            job: id,
            epoch,
            attempt,
            handler,
            params,
            data: data.or_else(|| task.data.clone()),
            after,
            shard,
            per_worker_key: filter.per_worker.map(|per_worker| per_worker.key),
            execution_ms: timeouts.execution_ms,
            deadline,
            cancel_grace_ms: timeouts.cancel_grace_ms,
        })
    }

    /// Tasks for a worker, as soon as there are some.
    async fn candidates(
        &self,
        worker: &str,
        document: WorkerDocument,
        (free, mut counts): (usize, Counts),
        (until, gone): (Instant, Pin<&mut impl Future<Output = ()>>),
    ) -> Vec<(Candidate, bool)> {
        let (_place, mut given) = {
            let mut state = self.state.lock();
            let taken = state.take(worker, &document, free, &mut counts);
            if !taken.is_empty() {
                return taken;
            }
            let (give, given) = oneshot::channel();
            let worker = worker.to_owned();
            let claim = WaitingClaim { worker, document, free, counts, give };
            let number = state.waiting.add(claim);
            (Place { dispatch: self, number }, given)
        };
        self.hungry.notify_one();
        tokio::select! {
            biased;
            given = &mut given => return given.unwrap_or_default(),
            () = gone => return Vec::new(),
            () = tokio::time::sleep_until(until) => {}
        }
        // They may have been given at the same instant.
        given.try_recv().unwrap_or_default()
    }

    /// Reads what may be claimed until the service stops.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut rounds = Rounds::new(&self, clock::now());
        loop {
            let pause = match rounds.round(clock::now()).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "tasks that may be claimed cannot be read now");
                    AFTER_ERROR
                }
            };
            tokio::select! {
                () = self.rest(pause) => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Waits until there may be something to give.
    async fn rest(&self, most: Duration) {
        tokio::time::sleep(EVERY).await;
        tokio::select! {
            () = self.engine.ready() => {}
            () = self.hungry.notified() => {}
            () = self.missed.noted.notified() => {}
            () = tokio::time::sleep(most.saturating_sub(EVERY)) => {}
        }
    }

    async fn give_up(&self, candidates: Vec<(Candidate, &'static str)>) {
        let all = candidates.into_iter().map(|(candidate, why)| async move {
            let Candidate { id, epoch, .. } = candidate;
            match self.engine.fail_unclaimed(id, epoch, why.to_owned()).await {
                Ok(_) => candidate.settle(),
                Err(error) => {
                    tracing::warn!(job = %id, %error, "a task without a worker is not ended now");
                }
            }
        });
        futures_util::future::join_all(all).await;
    }
}

/// Why a task fails that no worker has claimed.
const LATE: &str = "no worker has claimed it in time";
const NONE: &str = "no worker is online that may claim it";

/// Reads the index round by round.
struct Rounds<'a> {
    dispatch: &'a Dispatch,
    readers: Vec<Reader>,
    in_progress: InProgress,
    here: Here,
    /// Rounds in a row without a task.
    idle: u32,
    /// When the tasks in memory were last looked at.
    over: Timestamp,
}

impl<'a> Rounds<'a> {
    fn new(dispatch: &'a Dispatch, now: Timestamp) -> Self {
        let parts = 0..dispatch.store.index_parts();
        let readers = parts.map(|part| Reader::new(part, now)).collect();
        let (in_progress, here) = (InProgress::default(), Here::default());
        Self { dispatch, readers, in_progress, here, idle: 0, over: now }
    }

    /// Reads on in every part; answers how long to wait for the next round at most.
    async fn round(&mut self, now: Timestamp) -> Result<Duration, WorkerError> {
        let Self { dispatch, readers, in_progress, here, idle, over } = self;
        dispatch.workers.list_when_old().await?;
        let is_shared = dispatch.store.is_shared();
        let has_new = match here.refresh(&dispatch.workers) {
            Some(moved) => {
                if moved.has_fewer {
                    let fits = |handler: &str, filter: &_| here.fits(handler, filter);
                    let mut state = dispatch.state.lock();
                    state.ready.retain(fits);
                    let fits = |handler: &str, filter: &_| here.fits(handler, filter);
                    state.routed.retain(fits);
                }
                moved.has_new
            }
            None => false,
        };
        let (mut taken, mut next) = (0, None);
        for reader in readers {
            let failed = Vec::new();
            let mut page = Page { dispatch, in_progress, here, now, failed };
            let store = &*dispatch.store;
            let round = reader.round(store, (now, is_shared), has_new, &mut page).await?;
            taken += round.taken;
            next = next.into_iter().chain(round.next).min();
        }
        next = next.into_iter().chain(dispatch.route(now).await).min();
        if !(*over..over.after(OVER_EVERY)).contains(&now) {
            dispatch.give_up(dispatch.over_in_memory(now)).await;
            *over = now;
        }
        *idle = if taken > 0 { 0 } else { idle.saturating_add(1) };
        let look = match is_shared && !dispatch.state.lock().waiting.is_empty() {
            true => EVERY_SHARED.saturating_mul(1_u32.checked_shl(*idle).unwrap_or(u32::MAX)),
            false => SOON,
        };
        let until = |next: Timestamp| u64::try_from(next.millis() - now.millis()).unwrap_or(0);
        let next = next.map_or(SOON, |next| Duration::from_millis(until(next)));
        Ok(look.min(next).min(SOON))
    }
}

impl Dispatch {
    /// Tasks in memory that wait no longer: as long as they may, or their last worker has gone.
    fn over_in_memory(&self, now: Timestamp) -> Vec<(Candidate, &'static str)> {
        let why = |handler: &str, filter: &_, task: &Candidate| match task.deadline {
            Some(time) if time <= now => Some(LATE),
            _ if task.is_urgent && !self.workers.offer(handler, filter) => Some(NONE),
            _ => None,
        };
        let mut state = self.state.lock();
        let mut over = state.ready.take_over(why);
        over.extend(state.routed.take_over(why));
        over
    }

    /// Why a task that was read waits no longer, if it does not.
    fn over(&self, row: &TaskRow, now: Timestamp) -> Option<&'static str> {
        let NewTask { handler, filter, on_no_worker, .. } = &*row.task;
        match row.start_deadline() {
            Some(time) if time <= now => Some(LATE),
            _ if *on_no_worker == OnNoWorker::Fail && !self.workers.offer(handler, filter) => {
                Some(NONE)
            }
            _ => None,
        }
    }
}

/// The work on a page of the index.
struct Page<'a> {
    dispatch: &'a Dispatch,
    in_progress: &'a InProgress,
    here: &'a mut Here,
    now: Timestamp,
    failed: Vec<(Candidate, &'static str)>,
}

impl Take for Page<'_> {
    fn read_begins(&mut self) {
        self.in_progress.read_begins();
    }

    fn take(
        &mut self,
        part: u32,
        IndexKey { time, id, key }: IndexKey,
        row: TaskRow,
    ) -> (Taken, Option<Timestamp>) {
        let NewTask { handler, filter, on_no_worker, .. } = &*row.task;
        let why = self.dispatch.over(&row, self.now);
        let again = (*on_no_worker == OnNoWorker::Fail).then(|| self.now.after(OFFER_EVERY));
        let judge_at = row.start_deadline().into_iter().chain(again).min();
        if why.is_none() && !self.here.fits(handler, filter) {
            return (Taken::Unfit, judge_at);
        }
        let turn = (time, id);
        let mut state = self.dispatch.state.lock();
        let state = &mut *state;
        let assignment = row.assignment(self.now).filter(|_| why.is_none());
        let ready = match row.task.routing.is_any() {
            true => &mut state.ready,
            false => &mut state.routed,
        };
        let Some(in_progress) = self.in_progress.take((id, key)) else {
            return (Taken::Known, None);
        };
        if why.is_none() && assignment.is_none() {
            match ready.room(part, turn, &row) {
                Room::Yes => {}
                Room::Left => return (Taken::Left, judge_at),
                Room::Crowded => return (Taken::Crowded, judge_at),
            }
        }
        let missed = (&self.dispatch.missed, in_progress);
        let candidate = Candidate::new(id, &row, (part, time), missed);
        match (why, assignment) {
            (Some(why), _) => self.failed.push((candidate, why)),
            (None, Some(to)) => state.kept.add_foreign(turn, to, candidate),
            (None, None) => ready.add(turn, &row.task, candidate),
        }
        (Taken::Yes, None)
    }

    async fn go_on(&mut self) {
        self.dispatch.state.lock().give();
        self.dispatch.give_up(std::mem::take(&mut self.failed)).await;
    }

    fn missed(&mut self, part: u32) -> Option<RangeInclusive<Timestamp>> {
        self.dispatch.missed.take(part)
    }

    fn fill(&mut self, part: u32) -> Option<Timestamp> {
        let mut state = self.dispatch.state.lock();
        let (ready, routed) = (state.ready.fill(part), state.routed.fill(part));
        ready.into_iter().chain(routed).min()
    }

    fn is_filling(&mut self, part: u32) -> bool {
        let state = self.dispatch.state.lock();
        state.ready.is_filling(part) || state.routed.is_filling(part)
    }

    fn filled(&mut self, part: u32) {
        let mut state = self.dispatch.state.lock();
        state.ready.filled(part);
        state.routed.filled(part);
    }

    fn has_room_for_kinds(&mut self) -> bool {
        let state = self.dispatch.state.lock();
        state.ready.has_room_for_kinds() && state.routed.has_room_for_kinds()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jobtracker_engine::Options;
    use jobtracker_model::{NewJob, NewWorker, State as JobState, Timeouts, WorkerHandler};
    use jobtracker_store::memory::MemoryStore;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: Duration = Duration::from_secs(60);

    static NOW: AtomicI64 = AtomicI64::new(0);

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW.load(Ordering::SeqCst)).unwrap()
    }

    fn worker() -> NewWorker {
        let handler = WorkerHandler { name: "a/b".into(), description: String::new() };
        let (tags, labels) = (Vec::new(), std::collections::BTreeMap::new());
        NewWorker { name: "w".into(), handlers: vec![handler], tags, labels, slots: 1 }
    }

    #[tokio::test]
    async fn a_task_fails_in_time_though_the_clock_was_set_back() {
        NOW.store(2 * HOUR, Ordering::SeqCst);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(now));
        let workers = Arc::new(Workers::new(Arc::clone(&store), MINUTE, MINUTE));
        // So that the task is in memory.
        workers.register(worker()).await.unwrap();
        let dispatch = Dispatch::new(store, engine.clone(), workers, Routers::default());
        let mut rounds = Rounds::new(&dispatch, now());
        rounds.round(now()).await.unwrap();

        NOW.store(HOUR, Ordering::SeqCst);
        let timeouts = Timeouts { schedule_to_start_ms: Some(1_000), ..Timeouts::default() };
        let task = NewTask { timeouts, ..NewTask::new("a/b") };
        let job = engine.create(NewJob::new("work").task(task)).await.unwrap().id;
        for (after, expected) in [(999, JobState::WaitingToRun), (1_100, JobState::Faulted)] {
            NOW.store(HOUR + after, Ordering::SeqCst);
            rounds.round(now()).await.unwrap();
            let found = dispatch.store.get_job(job).await.unwrap().unwrap();
            assert_eq!(found.status.state, expected, "{after} ms");
        }
        engine.close().await;
    }
}
