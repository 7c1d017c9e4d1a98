//! Group commit: take what waits, apply it, commit it once, answer every caller. While a commit is
//! under way, the operations of its trees gather for the next one, and other trees go on.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    future::FutureExt,
    stream::{BoxStream, FuturesUnordered, StreamFuture},
};
use jobtracker_model::JobId;
use jobtracker_store::{Error as StoreError, Loaded, Result as StoreResult, Store};
use tokio::sync::{mpsc, watch};

use crate::{
    Error, Options, Result,
    apply::Rules,
    fairness::{Ended, Fairness},
    feed::{Feed, tell_of_others},
    group::{Applied, Group, wanted},
    ids::IdLease,
    metrics::Metrics,
    operation::{Operation, Outcome, Submitted},
    queue::Queue,
    workspace::Workspace,
};

/// About how many ids are taken from the store at once for all operations of a group.
const IDS_AT_ONCE: u32 = 10_000_000;
/// How often an operation is computed before its caller hears of contention. Another server can be
/// ahead many times in a row until it notices this one ([`Fairness`]).
const ATTEMPTS: u32 = 100;

/// The committer: applies and commits groups.
pub(crate) struct Committer {
    store: Arc<dyn Store>,
    options: Options,
    incoming: mpsc::Receiver<Submitted>,
    queue: Queue,
    /// Groups whose commits are under way; each comes back once for each of its parts, and once
    /// more when it has ended.
    in_flight: FuturesUnordered<StreamFuture<BoxStream<'static, Settled>>>,
    /// Commits that have ended and whose trees are still held busy.
    settled: Vec<Released>,
    fairness: Fairness,
    ids: IdLease,
    feed: Arc<Feed>,
    metrics: Metrics,
}

/// The trees that may go on after a commit, the jobs that it created, and what has to be computed
/// again.
type Released = (Vec<JobId>, Vec<(JobId, JobId)>, Vec<Submitted>);

/// A commit that has ended, of a whole group or of one of its trees.
struct Settled {
    group: Group,
    failed: HashMap<JobId, StoreError>,
    seconds: f64,
    /// Includes the load before the commit.
    took: Duration,
}

impl Committer {
    pub fn new(
        store: Arc<dyn Store>,
        options: Options,
        incoming: mpsc::Receiver<Submitted>,
        feed: Arc<Feed>,
        metrics: Metrics,
    ) -> Self {
        let (queue, ids) = (Queue::default(), IdLease::default());
        let (in_flight, settled) = (FuturesUnordered::new(), Vec::new());
        let fairness = Fairness::new(store.is_shared(), options.group_operations);
        Self { store, options, incoming, queue, in_flight, settled, fairness, ids, feed, metrics }
    }

    /// Runs on a thread of its own, so that a busy web worker cannot hold a commit up.
    pub fn spawn(mut self, end: watch::Sender<bool>) {
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                // The runtime's timer serves pauses, and stores that have timeouts.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .expect("a runtime without sockets asks nothing of the system");
                if self.store.is_shared() {
                    // This task ends with the runtime, thus with this thread.
                    runtime.spawn(tell_of_others(Arc::clone(&self.feed)));
                }
                runtime.block_on(self.run());
                // The receivers may all be gone.
                let _ = end.send(true);
            })
            .expect("the system has a thread to give");
    }

    /// Works until the queue is closed and everything that was in it is answered.
    async fn run(&mut self) {
        let mut open = true;
        loop {
            // Pauses that are over end here even when there is always other work.
            while let Some(Some(over)) = self.fairness.next().now_or_never() {
                self.fairness.end(&over, &mut self.queue);
            }
            let room = self.in_flight.len() < self.options.commits_at_once;
            if room && !self.queue.is_empty() {
                let group = self.gather();
                self.dispatch(group).await;
                continue;
            }
            tokio::select! {
                biased;
                Some((settled, rest)) = self.in_flight.next() => {
                    self.settle(settled, rest);
                    self.release_settled();
                }
                Some(over) = self.fairness.next() => self.fairness.end(&over, &mut self.queue),
                next = self.incoming.recv(), if room && open => match next {
                    Some(submitted) => self.queue.push(submitted),
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// Takes the first operation of the queue, and more as long as the bounds allow, without those
    /// that are known to have to wait for their tree.
    fn gather(&mut self) -> Vec<Submitted> {
        let mut group = Vec::new();
        let mut bytes = 0;
        // An operation whose tree is not known may have to wait for it before those behind it do.
        let mut known = true;
        while group.len() < self.options.group_operations.max(1) {
            if self.queue.is_empty()
                && let Ok(next) = self.incoming.try_recv()
            {
                self.queue.push(next);
            }
            let Some(next) = self.queue.pop() else { break };
            let root = self.queue.root_of(&next);
            known &= root.is_some() || next.operation.subject().is_none();
            let next = match root.filter(|_| known) {
                Some(root) => self.queue.park(root, next),
                None => Some(next),
            };
            let Some(next) = next else {
                self.queue.release_complete();
                continue;
            };
            bytes += next.share.bytes;
            if bytes > self.options.group_bytes && !group.is_empty() {
                self.queue.push_front(next);
                break;
            }
            group.push(next);
        }
        group
    }

    /// Applies a group, as far as its trees are free, and starts its commit.
    #[expect(clippy::disallowed_methods, reason = "measures, and decides nothing that is applied")]
    async fn dispatch(&mut self, group: Vec<Submitted>) {
        let started = Instant::now();
        let group = self.take_ids(group).await;
        let (group, space) = self.load(group).await;
        let group = self.park_busy(&space, group);
        self.release_settled();
        if group.is_empty() {
            return;
        }
        self.metrics.group_operations.observe(group.len() as f64);
        let rules = Rules {
            block_updates_after_finish: self.options.block_updates_after_finish,
            now: (self.options.clock)(),
        };
        let (group, commits) = Group::apply(space, group, rules, &self.feed);
        self.queue.occupy(group.trees.iter().map(|(root, _)| *root), &group.created);
        let store = Arc::clone(&self.store);
        let begun = Instant::now();
        let committing = group.commit(store, commits).map(move |(group, failed)| Settled {
            group,
            failed,
            seconds: begun.elapsed().as_secs_f64(),
            took: started.elapsed(),
        });
        self.in_flight.push(committing.boxed().into_future());
    }

    /// Loads what the group needs. An operation whose rows cannot be read is answered with the
    /// error; the others go on.
    async fn load(&mut self, mut group: Vec<Submitted>) -> (Vec<Submitted>, Workspace) {
        loop {
            if group.is_empty() {
                return (group, Workspace::new(Loaded::default()));
            }
            let error = match self.ask(&group).await {
                Ok(loaded) => return (group, Workspace::new(loaded)),
                Err(error) => error,
            };
            if group.len() == 1 || !matches!(error, StoreError::Corrupt(_)) {
                answer_all(std::mem::take(&mut group), &error.into());
                continue;
            }
            let mut sound = Vec::with_capacity(group.len());
            for submitted in group {
                match self.ask(std::slice::from_ref(&submitted)).await {
                    Ok(_) => sound.push(submitted),
                    Err(error) => answer(submitted, Err(error.into())),
                }
            }
            group = sound;
        }
    }

    async fn ask(&mut self, group: &[Submitted]) -> StoreResult<Loaded> {
        let store = Arc::clone(&self.store);
        let wanted = wanted(group);
        self.meanwhile(async move { store.load(wanted).await }).await
    }

    /// Waits for `work` while the commits in flight go on and are answered. Their trees stay busy
    /// until [`release_settled`](Self::release_settled): the rows that `work` loads may be from
    /// before those commits ended.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some((settled, rest)) = self.in_flight.next() => self.settle(settled, rest),
                done = &mut work => return done,
            }
        }
    }

    /// Answers the reservations, and gives ids to the jobs that have none. Returns the operations
    /// on trees.
    async fn take_ids(&mut self, group: Vec<Submitted>) -> Vec<Submitted> {
        for id in group.iter().flat_map(|submitted| submitted.operation.created()) {
            self.ids.avoid(id);
        }
        let needed = |submitted: &Submitted| submitted.operation.ids_needed();
        let mut more = group.iter().map(needed).fold(0, u32::saturating_add).min(IDS_AT_ONCE);
        let mut rest = Vec::with_capacity(group.len());
        for mut submitted in group {
            let count = submitted.operation.ids_needed();
            if count == 0 {
                rest.push(submitted);
                continue;
            }
            more = more.saturating_sub(count);
            let (store, mut ids) = (Arc::clone(&self.store), std::mem::take(&mut self.ids));
            let first = self.meanwhile(ids.take(&*store, count, more)).await;
            self.ids = ids;
            match (first, &submitted.operation) {
                (Err(error), _) => answer(submitted, Err(error.into())),
                (Ok(first), Operation::ReserveIds { .. }) => {
                    answer(submitted, Ok(Outcome::Reserved { first }));
                }
                (Ok(first), _) => {
                    submitted.operation.name_jobs(first);
                    rest.push(submitted);
                }
            }
        }
        rest
    }

    /// Parks operations whose tree is in a commit under way: they have to see what it does.
    fn park_busy(&mut self, space: &Workspace, group: Vec<Submitted>) -> Vec<Submitted> {
        let mut free = Vec::with_capacity(group.len());
        for submitted in group {
            let subject = submitted.operation.subject();
            let root = subject.and_then(|id| match space.origin(id) {
                Some(origin) => {
                    self.queue.learn(id, origin.root);
                    Some(origin.root)
                }
                None => self.queue.unborn(id).or_else(|| submitted.operation.own_root()),
            });
            free.extend(match root {
                Some(root) => self.queue.park(root, submitted),
                None => Some(submitted),
            });
        }
        free
    }

    /// Lets the trees of ended commits go on.
    fn release_settled(&mut self) {
        for (roots, created, again) in self.settled.drain(..) {
            self.queue.release(&roots, &created, again);
        }
        self.queue.release_complete();
    }

    /// Answers every operation of a commit that has ended; operations whose tree had moved are
    /// queued again. The rest of the group goes on.
    fn settle(&mut self, settled: Option<Settled>, rest: BoxStream<'static, Settled>) {
        let Some(Settled { group, failed, seconds, took }) = settled else { return };
        self.in_flight.push(rest.into_future());
        if !group.trees.is_empty() {
            self.metrics.commit_seconds.observe(seconds);
        }
        self.feed.tell(&group.trees, &group.news, &failed);
        let (mut again, mut again_in) = (Vec::new(), HashSet::new());
        let mut answered: HashMap<JobId, usize> = HashMap::new();
        for Applied { mut submitted, root, outcome, lost } in group.applied {
            let moved = match root.and_then(|root| failed.get(&root)) {
                Some(StoreError::Stale { .. }) => {
                    // An id that the engine chose may be one that has been staged, and so may those
                    // after it.
                    if submitted.operation.renew_ids() && submitted.attempts > 0 {
                        self.ids = IdLease::default();
                    }
                    true
                }
                // With a second try, a root is said to be gone by whom and when.
                Some(StoreError::IdDeleted(id))
                    if submitted.attempts == 0
                        || submitted.operation.created().all(|created| created != *id) =>
                {
                    true
                }
                Some(error) => {
                    answer(submitted, Err(error.clone().into()));
                    continue;
                }
                None => match outcome {
                    // The job that is in the way may belong to a tree that failed.
                    Err(Error::IdConflict(id)) => {
                        submitted.operation.give_back(id) || !failed.is_empty()
                    }
                    // The tree's commit publishes another stage already, and takes one at a time.
                    Err(Error::Contention(_)) => true,
                    _ => false,
                },
            };
            submitted.attempts += u32::from(moved);
            if moved && submitted.attempts < ATTEMPTS {
                again_in.extend(root);
                again.push(submitted);
            } else if moved {
                let root = root.unwrap_or(JobId::MIN);
                answer(submitted, Err(Error::Contention(root)));
            } else {
                self.metrics.operations.inc();
                self.metrics.lost_deliveries.inc_by(lost.into());
                if let Some(root) = root {
                    *answered.entry(root).or_default() += 1;
                }
                answer(submitted, outcome);
            }
        }
        self.metrics.recomputed.inc_by(again.len() as u64);
        for (id, root) in group.created.iter().filter(|(_, root)| !failed.contains_key(root)) {
            self.queue.learn(*id, *root);
        }
        let ended = Ended {
            trees: &group.trees,
            failed: &failed,
            again: &again_in,
            answered: &answered,
            took,
        };
        let roots = self.fairness.may_go_on(&ended, &mut self.queue);
        self.settled.push((roots, group.created, again));
    }
}

impl Drop for Committer {
    /// Also after a panic: nothing will be told any more.
    fn drop(&mut self) {
        self.feed.close();
    }
}

fn answer_all(group: Vec<Submitted>, error: &Error) {
    for submitted in group {
        answer(submitted, Err(error.clone()));
    }
}

fn answer(submitted: Submitted, outcome: Result<Outcome>) {
    let Submitted { share, reply, .. } = submitted;
    // A caller that is answered may send more at once: there has to be room for it.
    drop(share);
    // The caller may be gone; what was done stays done.
    let _ = reply.send(outcome);
}
