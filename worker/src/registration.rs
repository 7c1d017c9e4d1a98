//! A worker as the service knows it, from its registration until it leaves or is forgotten.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_client::{
    ClaimTasks, ClaimedTask, Error, Heartbeat, JobId, JobTrackerClient, Orders, ProblemCode,
    WorkerRegistered, limits,
};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler,
    attempt::{Attempt, Control},
    lease::Lease,
    load::LoadMeter,
    spool::Spool,
};

/// How long one request for tasks waits for some.
const CLAIM_WAIT: Duration = Duration::from_secs(25);
/// The same of a worker that has tasks which are counted: it may have to say that one has ended.
const CLAIM_WAIT_COUNTED: Duration = Duration::from_secs(2);
/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after an order: the service repeats it at once until it is carried out.
const PAUSE_ORDERED: Duration = Duration::from_millis(300);
/// Of this many signs of life one does not wait for an order: it tells how long an answer takes.
const MEASURED_EVERY: u32 = 3;
/// After the time for draining, how long what is given back may take.
const LAST: Duration = Duration::from_secs(15);

/// Why a registration is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The worker has finished what it had, and has left.
    Left,
    /// The service does not know it any more.
    Unknown,
    /// It was kicked.
    Kicked,
}

impl Over {
    /// What an error of a worker's call means; `None`: the call may be made again.
    fn of(error: &Error) -> Option<Self> {
        match error.code() {
            Some(ProblemCode::WorkerNotFound) => Some(Self::Unknown),
            Some(ProblemCode::WorkerKicked) => Some(Self::Kicked),
            _ => None,
        }
    }
}

/// What is the same for all registrations of a process.
#[derive(Clone)]
pub(crate) struct Process {
    pub client: JobTrackerClient,
    pub handlers: Arc<HashMap<String, Arc<dyn Handler>>>,
    pub slots: Arc<Semaphore>,
    pub spool: Option<Spool>,
    /// How long tasks that run may take when the worker stops.
    pub drain: Duration,
}

/// A worker that the service knows.
pub(crate) struct Registration<'a> {
    process: &'a Process,
    id: Arc<str>,
    /// How often it has to be heard of.
    heartbeat: Duration,
    /// After how long a silence its leases end.
    lease: Duration,
    running: Arc<Mutex<HashMap<JobId, Running>>>,
    draining: CancellationToken,
}

/// A task that runs.
struct Running {
    epoch: u32,
    /// By which key it is counted among the tasks of this worker.
    key: Option<String>,
    control: Arc<Control>,
}

impl<'a> Registration<'a> {
    pub fn new(process: &'a Process, registered: WorkerRegistered) -> Self {
        let WorkerRegistered { id, heartbeat_ms, lease_ms } = registered;
        Self {
            process,
            id: id.into(),
            heartbeat: Duration::from_millis(heartbeat_ms),
            lease: Duration::from_millis(lease_ms),
            running: Arc::default(),
            draining: CancellationToken::new(),
        }
    }

    /// Claims and runs tasks, once `prepared` has ended, until `shutdown` ends or the service wants
    /// the worker to drain, and then finishes what it has; or until the service does not know it
    /// any more. It is heard of from the beginning.
    ///
    /// # Errors
    /// That of `prepared`.
    pub async fn work<E>(
        &self,
        tasks: &mut JoinSet<()>,
        prepared: impl Future<Output = Result<(), E>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Over, E> {
        let working = async {
            let claiming = async {
                prepared.await?;
                Ok(self.claim(tasks).await)
            };
            let over = tokio::select! {
                over = claiming => Some(over?),
                () = shutdown => {
                    self.draining.cancel();
                    None
                }
                () = self.draining.cancelled() => None,
            };
            Ok(match over {
                Some(over) => over,
                None => self.finish(tasks).await,
            })
        };
        let over = tokio::select! {
            over = self.be_heard() => over,
            over = working => over?,
        };
        if over != Over::Left {
            tracing::warn!(worker = %self.id, ?over, "the worker has lost its leases");
            self.each(|running| running.control.abandon());
        }
        // A worker that was to stop does not come back.
        Ok(if self.draining.is_cancelled() { Over::Left } else { over })
    }

    /// Claims tasks for slots that are free and starts them.
    async fn claim(&self, tasks: &mut JoinSet<()>) -> Over {
        let Process { client, slots, .. } = self.process;
        loop {
            let slot = slots.acquire().await.expect("nothing closes the semaphore");
            let free = u32::try_from(slots.available_permits() + 1).unwrap_or(u32::MAX);
            drop(slot);
            while tasks.try_join_next().is_some() {}
            let error = match client.claim_tasks_with(&self.id, &self.claims(free)).await {
                Ok(claimed) => {
                    claimed.into_iter().for_each(|task| self.start(task, tasks));
                    continue;
                }
                Err(error) => error,
            };
            if let Some(over) = Over::of(&error) {
                return over;
            }
            if error.code() == Some(ProblemCode::WorkerDraining) {
                self.draining.cancel();
            }
            tracing::warn!(%error, "no tasks can be claimed now");
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Asks for this many tasks at most.
    fn claims(&self, free: u32) -> ClaimTasks {
        let mut has = BTreeMap::new();
        for key in self.running.lock().values().filter_map(|running| running.key.as_ref()) {
            *has.entry(key.clone()).or_default() += 1;
        }
        let wait = if has.is_empty() { CLAIM_WAIT } else { CLAIM_WAIT_COUNTED };
        ClaimTasks { free, wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), has }
    }

    /// A request that failed is made again soon enough that the leases do not end meanwhile.
    fn pause(&self) -> Duration {
        PAUSE.min(self.heartbeat / 2)
    }

    fn start(&self, task: ClaimedTask, tasks: &mut JoinSet<()>) {
        let Process { client, handlers, slots, spool, .. } = self.process;
        let slot = Arc::clone(slots).try_acquire_owned();
        let (Ok(slot), Some(handler)) = (slot, handlers.get(&task.handler)) else {
            // The service takes it back, since it is not named in the signs of life.
            return tracing::warn!(job = %task.job, "a task was not asked for");
        };
        let ClaimedTask { job, epoch, .. } = task;
        let key = task.per_worker_key.clone();
        let (client, worker) = (client.clone(), Arc::clone(&self.id));
        let control = Arc::<Control>::default();
        self.running.lock().insert(job, Running { epoch, key, control: Arc::clone(&control) });
        let (handler, spool, slot) = (Arc::clone(handler), spool.clone(), Arc::new(slot));
        let lease = Lease { client, worker, job, epoch };
        let attempt = Attempt { lease, task, handler, control, spool, slot };
        let running = Arc::clone(&self.running);
        tasks.spawn(async move {
            attempt.run().await;
            let mut running = running.lock();
            // The task may be here again already, under another lease.
            if running.get(&job).is_some_and(|running| running.epoch == epoch) {
                running.remove(&job);
            }
        });
    }

    /// Gives signs of life and carries out orders, until the service does not know the worker.
    async fn be_heard(&self) -> Over {
        let (mut load, mut heard) = (LoadMeter::default(), Instant::now());
        let (mut wait, mut beats) = (Duration::ZERO, 0_u32);
        loop {
            let said = Instant::now();
            let beat = timeout(self.patience(heard), self.beat(&mut load, wait)).await;
            let pause = match beat {
                Ok(Ok(orders)) => {
                    if wait.is_zero() {
                        load.note_round_trip(said.elapsed());
                    }
                    beats = beats.wrapping_add(1);
                    let measures = beats.is_multiple_of(MEASURED_EVERY);
                    wait = if measures { Duration::ZERO } else { self.heartbeat };
                    heard = said;
                    self.obey(orders)
                }
                failed => {
                    let failed = failed.map(Result::err).ok().flatten();
                    if let Some(over) = failed.as_ref().and_then(Over::of) {
                        return over;
                    }
                    tracing::warn!(?failed, "the service does not hear of this worker now");
                    // The answer has to come before the leases end.
                    wait = Duration::ZERO;
                    self.pause()
                }
            };
            if heard.elapsed() >= self.lease {
                // Others may have the tasks by now.
                self.each(|running| running.control.give_back());
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// How long a sign of life may take: one that is lost is given again before the leases end.
    fn patience(&self, heard: Instant) -> Duration {
        let usual = self.heartbeat * 3 / 2;
        let left = self.lease.saturating_sub(heard.elapsed());
        if left.is_zero() { usual } else { usual.min(left) }
    }

    async fn beat(&self, load: &mut LoadMeter, wait: Duration) -> Result<Orders, Error> {
        let tasks = self.running.lock().iter().map(|(job, task)| task.held(*job)).collect();
        let most = limits::WORKER_WAIT_MS;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(most).min(most);
        let heartbeat = Heartbeat { load: Some(load.read()), tasks, wait_ms };
        self.process.client.heartbeat(&self.id, &heartbeat).await
    }

    /// Carries out orders; answers how long to pause after that.
    fn obey(&self, orders: Orders) -> Duration {
        if orders == Orders::default() {
            return Duration::ZERO;
        }
        let Orders { cancel, abandon, drain } = orders;
        let running = self.running.lock();
        for job in cancel {
            running.get(&job).into_iter().for_each(|task| task.control.cancel());
        }
        for job in abandon {
            running.get(&job).into_iter().for_each(|task| task.control.abandon());
        }
        if drain {
            self.draining.cancel();
        }
        PAUSE_ORDERED.min(self.heartbeat / 2)
    }

    fn each(&self, act: impl Fn(&Running)) {
        self.running.lock().values().for_each(act);
    }

    /// Claims nothing more, lets what runs end, gives back what does not, and leaves.
    async fn finish(&self, tasks: &mut JoinSet<()>) -> Over {
        let client = &self.process.client;
        tracing::info!(worker = %self.id, running = tasks.len(), "the worker drains");
        let drained = async {
            if let Err(error) = client.drain_worker(&self.id).await {
                tracing::warn!(%error, "the service does not know that this worker drains");
            }
        };
        let ended = async { while tasks.join_next().await.is_some() {} };
        let both = async { tokio::join!(drained, ended) };
        if timeout(self.process.drain, both).await.is_err() {
            self.each(|running| running.control.give_back());
            let ended = async { while tasks.join_next().await.is_some() {} };
            if timeout(LAST, ended).await.is_err() {
                tracing::warn!(left = tasks.len(), "some tasks did not stop, or are not reported");
            }
        }
        match timeout(LAST, client.leave_worker(&self.id)).await {
            Ok(Ok(())) => tracing::info!(worker = %self.id, "the worker has left"),
            Ok(Err(error)) => tracing::warn!(%error, "the service forgets this worker by itself"),
            Err(_) => tracing::warn!("the service forgets this worker by itself"),
        }
        Over::Left
    }
}

impl Running {
    fn held(&self, job: JobId) -> jobtracker_client::HeldTask {
        self.control.held(job, self.epoch)
    }
}
