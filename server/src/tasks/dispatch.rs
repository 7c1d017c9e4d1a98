use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jobtracker_engine::{Claim, Engine, SOON};
use jobtracker_model::{ClaimedTask, ClaimedTasks, JobId, NewTask, OnNoWorker, Timestamp, limits};
use jobtracker_store::{FollowUp, IndexId, IndexKey, Store, TaskRow};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};

use super::{
    document::WorkerDocument,
    workers::{WorkerError, Workers},
};
use crate::{
    clock,
    follow_ups::{Begin, Begun, DueList, Entry, InProgress},
};

/// Tasks of one handler that are in memory; the others are found again once there is room.
const READY: usize = 1_000;
/// The shortest time between two reads of the index.
const EVERY: Duration = Duration::from_millis(5);
/// How often tasks that other servers have committed are looked for while a worker waits.
const EVERY_SHARED: Duration = Duration::from_millis(250);
/// A pause after the store did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Gives tasks that may be claimed to workers that wait for some.
pub(crate) struct Dispatch {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: Engine,
    pub workers: Arc<Workers>,
    state: Mutex<State>,
    /// A worker has come for which there was no task in memory.
    hungry: Notify,
}

#[derive(Default)]
struct State {
    /// By handler and time.
    ready: HashMap<String, BTreeMap<(Timestamp, JobId), Candidate>>,
    /// Workers that wait, the longest first.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

/// A task that may be claimed. While it lives, it is not read from the index again.
struct Candidate {
    id: JobId,
    epoch: u32,
    task: Arc<NewTask>,
    deadline: Option<Timestamp>,
    _in_progress: Entry,
}

/// A worker that waits.
struct Waiting {
    worker: String,
    document: WorkerDocument,
    free: usize,
    give: oneshot::Sender<Vec<Candidate>>,
}

impl State {
    /// Takes tasks for a worker, the oldest first.
    fn take(&mut self, worker: &str, document: &WorkerDocument, free: usize) -> Vec<Candidate> {
        let mut taken = Vec::new();
        while taken.len() < free {
            let names = document.worker.handlers.iter().map(|handler| handler.name.as_str());
            let oldest = names.filter_map(|name| {
                let fits =
                    |(_, candidate): &(_, &Candidate)| document.fits(worker, &candidate.task);
                let (key, _) = self.ready.get(name)?.iter().find(fits)?;
                Some((*key, name))
            });
            let Some((key, name)) = oldest.min() else { break };
            let Some(ready) = self.ready.get_mut(name) else { break };
            taken.extend(ready.remove(&key));
            if ready.is_empty() {
                self.ready.remove(name);
            }
        }
        taken
    }

    /// Gives what is ready to those who wait.
    fn give(&mut self) {
        for number in self.waiting.keys().copied().collect::<Vec<_>>() {
            if self.ready.is_empty() {
                break;
            }
            let Some(waiting) = self.waiting.remove(&number) else { continue };
            let taken = self.take(&waiting.worker, &waiting.document, waiting.free);
            if taken.is_empty() {
                self.waiting.insert(number, waiting);
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
        self.dispatch.state.lock().waiting.remove(&self.number);
    }
}

impl Dispatch {
    pub fn new(store: Arc<dyn Store>, engine: Engine, workers: Arc<Workers>) -> Self {
        let (state, hungry) = (Mutex::default(), Notify::new());
        Self { store, engine, workers, state, hungry }
    }

    /// Claims tasks for a worker; waits for some if there are none.
    pub async fn claim(
        &self,
        worker: &str,
        free: usize,
        wait: Duration,
    ) -> Result<ClaimedTasks, WorkerError> {
        let until = Instant::now() + wait.min(Duration::from_millis(limits::WORKER_WAIT_MS));
        loop {
            let document = self.workers.hear(worker, None).await?;
            if document.draining {
                return Err(WorkerError::Draining(worker.to_owned()));
            }
            let taken = self.candidates(worker, document, free, until).await;
            // It may have been told to finish meanwhile.
            if self.workers.hear(worker, None).await?.draining {
                return Err(WorkerError::Draining(worker.to_owned()));
            }
            if taken.is_empty() {
                return Ok(ClaimedTasks::default());
            }
            let claims = taken.into_iter().map(|candidate| self.claim_one(worker, candidate));
            let claimed = futures_util::future::join_all(claims).await;
            let tasks: Vec<ClaimedTask> = claimed.into_iter().flatten().collect();
            if !tasks.is_empty() {
                return Ok(ClaimedTasks { tasks });
            }
        }
    }

    async fn claim_one(&self, worker: &str, candidate: Candidate) -> Option<ClaimedTask> {
        let Candidate { id, epoch, .. } = candidate;
        let until = clock::now().after(self.workers.lease());
        let claim = Claim { epoch, worker: worker.to_owned(), until };
        let claimed = match self.engine.claim_task(id, claim).await {
            Ok(claimed) if claimed.done => *claimed.task,
            // Another server's worker has it, or it was cancelled.
            Ok(_) => return None,
            Err(error) => {
                tracing::warn!(job = %id, %error, "a task is not claimed now");
                return None;
            }
        };
        self.hold(worker, id, &claimed);
        let deadline = claimed.deadline();
        let TaskRow { task, epoch, attempt, data, .. } = claimed;
        let NewTask { handler, params, shard, timeouts, .. } = Arc::unwrap_or_clone(task.clone());
        Some(ClaimedTask {
            job: id,
            epoch,
            attempt,
            handler,
            params,
            data: data.or_else(|| task.data.clone()),
            shard,
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
        free: usize,
        until: Instant,
    ) -> Vec<Candidate> {
        let (_place, mut given) = {
            let mut state = self.state.lock();
            let taken = state.take(worker, &document, free);
            if !taken.is_empty() {
                return taken;
            }
            let (give, given) = oneshot::channel();
            let number = state.next;
            state.next += 1;
            let worker = worker.to_owned();
            state.waiting.insert(number, Waiting { worker, document, free, give });
            (Place { dispatch: self, number }, given)
        };
        self.hungry.notify_one();
        match tokio::time::timeout_at(until, &mut given).await {
            Ok(given) => given.unwrap_or_default(),
            // They may have been given at the same instant.
            Err(_) => given.try_recv().unwrap_or_default(),
        }
    }

    /// Reads what may be claimed until the service stops.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let parts = 0..self.store.index_parts();
        let mut lists: Vec<DueList> =
            parts.map(|part| DueList::new(IndexId::Ready, part)).collect();
        let (in_progress, mut idle) = (InProgress::default(), 0);
        loop {
            let pause = match self.round(&mut lists, &in_progress, &mut idle).await {
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
            () = tokio::time::sleep(most.saturating_sub(EVERY)) => {}
        }
    }

    /// Reads on in every part; answers how long to wait for the next round at most.
    async fn round(
        &self,
        lists: &mut [DueList],
        in_progress: &InProgress,
        idle: &mut u32,
    ) -> Result<Duration, WorkerError> {
        self.workers.list_when_old().await?;
        let now = clock::now();
        let (mut begun, mut next) = (0, None);
        for list in lists {
            let mut work = Ready { dispatch: self, in_progress, now, failed: Vec::new() };
            let round = list.round(&*self.store, now, &mut work).await?;
            begun += round.begun;
            next = next.into_iter().chain(round.next).min();
        }
        self.give_up(self.expired(now)).await;
        *idle = if begun > 0 { 0 } else { idle.saturating_add(1) };
        let look = match self.store.is_shared() && !self.state.lock().waiting.is_empty() {
            true => EVERY_SHARED.saturating_mul(1_u32.checked_shl(*idle).unwrap_or(u32::MAX)),
            false => SOON,
        };
        let until = |next: Timestamp| u64::try_from(next.millis() - now.millis()).unwrap_or(0);
        let next = next.map_or(SOON, |next| Duration::from_millis(until(next)));
        Ok(look.min(next).min(SOON))
    }

    /// Tasks in memory that wait no longer: as long as they may, or their last worker has gone.
    fn expired(&self, now: Timestamp) -> Vec<(Candidate, &'static str)> {
        let mut state = self.state.lock();
        let mut over = Vec::new();
        for ready in state.ready.values_mut() {
            let ended = ready.extract_if(.., |_, candidate| self.over(candidate, now).is_some());
            over.extend(ended.map(|(_, candidate)| candidate));
        }
        let why = |candidate| self.over(&candidate, now).map(|why| (candidate, why));
        over.into_iter().filter_map(why).collect()
    }

    /// Why a task that may be claimed waits no longer, if it does not.
    fn over(&self, candidate: &Candidate, now: Timestamp) -> Option<&'static str> {
        let Candidate { task, deadline, .. } = candidate;
        match deadline {
            Some(time) if *time <= now => Some(LATE),
            _ if task.on_no_worker == OnNoWorker::Fail && !self.workers.offer(task) => Some(NONE),
            _ => None,
        }
    }

    async fn give_up(&self, candidates: Vec<(Candidate, &'static str)>) {
        let all = candidates.into_iter().map(|(candidate, why)| async move {
            let Candidate { id, epoch, .. } = candidate;
            if let Err(error) = self.engine.fail_unclaimed(id, epoch, why.to_owned()).await {
                tracing::warn!(job = %id, %error, "a task that no worker claims is not ended now");
            }
        });
        futures_util::future::join_all(all).await;
    }
}

/// Why a task fails that no worker has claimed.
const LATE: &str = "no worker has claimed it in time";
const NONE: &str = "no worker is online that may claim it";

/// The work on a page of the index.
struct Ready<'a> {
    dispatch: &'a Dispatch,
    in_progress: &'a InProgress,
    now: Timestamp,
    failed: Vec<(Candidate, &'static str)>,
}

impl Begin for Ready<'_> {
    fn read_begins(&mut self) {
        self.in_progress.read_begins();
    }

    fn begin(&mut self, IndexKey { time, id, key }: IndexKey, row: FollowUp) -> Begun {
        let FollowUp::Task(row) = row else { return Begun::Already };
        let mut state = self.dispatch.state.lock();
        let ready = state.ready.get(&row.task.handler);
        if ready.is_some_and(|ready| ready.len() >= READY) {
            return Begun::NoRoom;
        }
        let Some(in_progress) = self.in_progress.take((id, key)) else { return Begun::Already };
        let (epoch, deadline) = (row.epoch, row.start_deadline());
        let task = row.task;
        let candidate = Candidate { id, epoch, task, deadline, _in_progress: in_progress };
        match self.dispatch.over(&candidate, self.now) {
            Some(why) => self.failed.push((candidate, why)),
            None => {
                let handler = candidate.task.handler.clone();
                state.ready.entry(handler).or_default().insert((time, id), candidate);
            }
        }
        Begun::Yes
    }

    async fn go_on(&mut self) {
        self.dispatch.state.lock().give();
        self.dispatch.give_up(std::mem::take(&mut self.failed)).await;
    }
}
