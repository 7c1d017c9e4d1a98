//! Group commit: take what waits, apply it, commit it once, answer everybody. While a commit is
//! under way, the operations of its trees gather for the next one, and other trees go on.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use jobtracker_model::JobId;
use jobtracker_store::{Error as StoreError, Store};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Error, Options, Result,
    apply::Rules,
    flight::{Applied, Flight, wanted},
    ids::IdLease,
    line::Line,
    metrics::Metrics,
    operation::{Creation, Operation, Outcome},
    wait::Waiters,
    workspace::Workspace,
};

/// How often an operation is computed before its caller hears of contention.
const ATTEMPTS: u32 = 10;

/// An operation in the queue, and whom to answer.
pub(crate) struct Submitted {
    pub operation: Operation,
    pub bytes: usize,
    /// How often it has been computed in vain.
    pub attempts: u32,
    pub reply: oneshot::Sender<Result<Outcome>>,
}

/// The one who commits.
pub(crate) struct Committer {
    store: Arc<dyn Store>,
    options: Options,
    queue: mpsc::Receiver<Submitted>,
    queued_bytes: Arc<AtomicUsize>,
    line: Line,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    ids: IdLease,
    waiters: Arc<Waiters>,
    metrics: Metrics,
}

/// A commit that has ended.
struct Landed {
    flight: Flight,
    failed: HashMap<JobId, StoreError>,
    seconds: f64,
}

impl Committer {
    pub fn new(
        store: Arc<dyn Store>,
        options: Options,
        queue: mpsc::Receiver<Submitted>,
        queued_bytes: Arc<AtomicUsize>,
        waiters: Arc<Waiters>,
        metrics: Metrics,
    ) -> Self {
        let (line, flights, ids) = (Line::default(), FuturesUnordered::new(), IdLease::default());
        Self { store, options, queue, queued_bytes, line, flights, ids, waiters, metrics }
    }

    /// Runs on a thread of its own, so that a busy web worker cannot hold a commit up.
    pub fn spawn(mut self, end: watch::Sender<bool>) {
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime without drivers asks nothing of the system");
                runtime.block_on(self.run());
                // Nobody may be left who asks.
                let _ = end.send(true);
            })
            .expect("the system has a thread to give");
    }

    /// Works until the queue is closed and everything that was in it is answered.
    async fn run(&mut self) {
        let mut open = true;
        loop {
            let room = self.flights.len() < self.options.commits_at_once;
            if room && !self.line.is_empty() {
                let group = self.gather();
                self.depart(group).await;
                continue;
            }
            tokio::select! {
                biased;
                Some(landed) = self.flights.next() => self.land(landed),
                next = self.queue.recv(), if room && open => match next {
                    Some(submitted) => self.receive(submitted),
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// Takes an operation out of the queue, to stand in line.
    fn receive(&mut self, submitted: Submitted) {
        self.queued_bytes.fetch_sub(submitted.bytes, Ordering::Relaxed);
        self.metrics.waiting.dec();
        self.line.push(submitted);
    }

    /// The first operation in line, and more as long as the bounds allow.
    fn gather(&mut self) -> Vec<Submitted> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < self.options.group_operations.max(1) {
            if self.line.is_empty()
                && let Ok(next) = self.queue.try_recv()
            {
                self.receive(next);
            }
            let Some(next) = self.line.pop() else { break };
            bytes += next.bytes;
            if bytes > self.options.group_bytes && !group.is_empty() {
                self.line.push_front(next);
                break;
            }
            group.push(next);
        }
        group
    }

    /// Applies a group, as far as its trees are free, and sends it on its way.
    async fn depart(&mut self, group: Vec<Submitted>) {
        let group = self.take_ids(group).await;
        if group.is_empty() {
            return;
        }
        let loaded = match self.store.load(wanted(&group)).await {
            Ok(loaded) => loaded,
            Err(error) => return answer_all(group, &error.into()),
        };
        let space = Workspace::new(loaded);
        let group = self.park_busy(&space, group);
        if group.is_empty() {
            return;
        }
        self.metrics.group_operations.observe(group.len() as f64);
        let rules = Rules {
            block_updates_after_finish: self.options.block_updates_after_finish,
            now: (self.options.clock)(),
        };
        let (flight, commits) = Flight::plan(space, group, rules);
        self.line.occupy(&flight.roots, &flight.created);
        let store = Arc::clone(&self.store);
        #[expect(clippy::disallowed_methods, reason = "measures, decides nothing")]
        let begun = Instant::now();
        let flying = flight.fly(store, commits).map(move |(flight, failed)| Landed {
            flight,
            failed,
            seconds: begun.elapsed().as_secs_f64(),
        });
        self.flights.push(flying.boxed());
    }

    /// Answers the reservations, and gives ids to the jobs that have none. What is left is for the
    /// trees.
    async fn take_ids(&mut self, group: Vec<Submitted>) -> Vec<Submitted> {
        let mut rest = Vec::with_capacity(group.len());
        for mut submitted in group {
            let done = match &mut submitted.operation {
                Operation::ReserveIds { count } => {
                    let first = self.ids.take(&*self.store, *count).await;
                    Some(first.map(|first| Outcome::Reserved { first }))
                }
                Operation::Create { jobs, .. } => {
                    name_jobs(&mut self.ids, &*self.store, jobs).await.err().map(Err)
                }
                _ => None,
            };
            match done {
                Some(outcome) => answer(submitted.reply, outcome.map_err(Error::from)),
                None => rest.push(submitted),
            }
        }
        rest
    }

    /// Lets those wait whose tree is in a commit under way: they have to see what it does.
    fn park_busy(&mut self, space: &Workspace, group: Vec<Submitted>) -> Vec<Submitted> {
        let mut free = Vec::with_capacity(group.len());
        for submitted in group {
            let subject = submitted.operation.subject();
            let root = subject.and_then(|id| match space.origin(id) {
                Some(origin) => Some(origin.root),
                None => self.line.unborn(id),
            });
            free.extend(match root {
                Some(root) => self.line.park(root, submitted),
                None => Some(submitted),
            });
        }
        free
    }

    /// Answers every operation of a commit that has ended; those whose tree had moved stand in
    /// line again.
    fn land(&mut self, landed: Landed) {
        let Landed { flight, failed, seconds } = landed;
        self.metrics.commit_seconds.observe(seconds);
        let mut again = Vec::new();
        for Applied { mut submitted, root, outcome, became } in flight.applied {
            let moved = match root.and_then(|root| failed.get(&root)) {
                Some(StoreError::Stale { .. }) => true,
                Some(error) => {
                    answer(submitted.reply, Err(error.clone().into()));
                    continue;
                }
                None => match outcome {
                    Err(Error::IdConflict(id)) => submitted.operation.give_back(id),
                    _ => false,
                },
            };
            submitted.attempts += u32::from(moved);
            if moved && submitted.attempts < ATTEMPTS {
                again.push(submitted);
            } else if moved {
                let root = root.unwrap_or(JobId::MIN);
                answer(submitted.reply, Err(Error::Contention(root)));
            } else {
                self.waiters.tell(&became);
                self.metrics.operations.inc();
                answer(submitted.reply, outcome);
            }
        }
        self.metrics.recomputed.inc_by(again.len() as u64);
        self.line.release(&flight.roots, &flight.created, again);
    }
}

/// Gives ids that follow each other to the jobs that have none.
async fn name_jobs(
    ids: &mut IdLease,
    store: &dyn Store,
    jobs: &mut [Creation],
) -> std::result::Result<(), StoreError> {
    let nameless = jobs.iter().filter(|job| job.id.is_none()).count();
    if nameless == 0 {
        return Ok(());
    }
    let count = u32::try_from(nameless).expect("jobs of a request are counted");
    let first = ids.take(store, count).await?.get();
    let fresh = (first..).map_while(JobId::new);
    for (job, id) in jobs.iter_mut().filter(|job| job.id.is_none()).zip(fresh) {
        job.id = Some(id);
    }
    Ok(())
}

fn answer_all(group: Vec<Submitted>, error: &Error) {
    for submitted in group {
        answer(submitted.reply, Err(error.clone()));
    }
}

fn answer(reply: oneshot::Sender<Result<Outcome>>, outcome: Result<Outcome>) {
    // Whoever asked may have gone; what was done stays done.
    let _ = reply.send(outcome);
}
