//! Group commit: take what waits, apply it, commit it once, answer everybody.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use jobtracker_model::{JobId, Repeat};
use jobtracker_store::{Error as StoreError, Store, TreeCommit, Wanted};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Error, Options, Result,
    apply::{Became, Rules, apply},
    ids::IdLease,
    metrics::Metrics,
    operation::{Creation, Operation, Outcome},
    wait::Waiters,
    workspace::Workspace,
};

/// How often a group is computed before its callers hear of contention.
const ATTEMPTS: u32 = 10;

/// An operation in the queue, and whom to answer.
pub(crate) struct Submitted {
    pub operation: Operation,
    pub bytes: usize,
    pub reply: oneshot::Sender<Result<Outcome>>,
}

/// The one who commits.
pub(crate) struct Committer {
    store: Arc<dyn Store>,
    options: Options,
    queue: mpsc::Receiver<Submitted>,
    queued_bytes: Arc<AtomicUsize>,
    waiters: Arc<Waiters>,
    metrics: Metrics,
    ids: IdLease,
    /// Taken from the queue, but too large for the group that was being made.
    held_back: Option<Submitted>,
}

/// An operation that has been applied but not committed.
struct Applied {
    submitted: Submitted,
    /// The tree that it belongs to, if there is one.
    root: Option<JobId>,
    outcome: Result<Outcome>,
    /// Whose visible states it changed; told when it is committed.
    became: Vec<Became>,
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
        let (ids, held_back) = (IdLease::default(), None);
        Self { store, options, queue, queued_bytes, waiters, metrics, ids, held_back }
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

    async fn run(&mut self) {
        while let Some(group) = self.next_group().await {
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            self.metrics.group_operations.observe(f64::from(count));
            self.run_group(group).await;
        }
    }

    /// The first operation that waits, and more as long as the bounds allow. `None`: the queue is
    /// closed and empty.
    async fn next_group(&mut self) -> Option<Vec<Submitted>> {
        let first = match self.held_back.take() {
            Some(first) => first,
            None => self.queue.recv().await?,
        };
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while group.len() < self.options.group_operations {
            let Ok(next) = self.queue.try_recv() else { break };
            if bytes + next.bytes > self.options.group_bytes {
                self.held_back = Some(next);
                break;
            }
            bytes += next.bytes;
            group.push(next);
        }
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.metrics.waiting.dec_by(i64::try_from(group.len()).unwrap_or(i64::MAX));
        Some(group)
    }

    /// Computes and commits until every operation is answered.
    async fn run_group(&mut self, mut group: Vec<Submitted>) {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.metrics.recomputed.inc_by(group.len() as u64);
            }
            group = self.take_ids(group).await;
            if group.is_empty() {
                return;
            }
            let loaded = match self.store.load(wanted(&group)).await {
                Ok(loaded) => loaded,
                Err(error) => return answer_all(group, &error.into()),
            };
            let (applied, commits) = self.apply_group(Workspace::new(loaded), group);
            let failed = self.commit(commits).await;
            group = self.answer(applied, &failed);
            if group.is_empty() {
                return;
            }
        }
        for submitted in group {
            let root = submitted.operation.subject().unwrap_or(JobId::MIN);
            answer(submitted.reply, Err(Error::Contention(root)));
        }
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

    /// Applies each operation in the order of arrival.
    fn apply_group(
        &self,
        mut space: Workspace,
        group: Vec<Submitted>,
    ) -> (Vec<Applied>, Vec<TreeCommit>) {
        let rules = Rules {
            block_updates_after_finish: self.options.block_updates_after_finish,
            now: (self.options.clock)(),
        };
        let applied = group
            .into_iter()
            .map(|submitted| {
                let mut became = Vec::new();
                let outcome = apply(&mut space, &submitted.operation, rules, &mut became);
                let subject = submitted.operation.subject();
                let root = subject.and_then(|id| space.origin(id)).map(|origin| origin.root);
                Applied { submitted, root, outcome, became }
            })
            .collect();
        (applied, space.into_commits())
    }

    /// Commits; answers the trees for which it failed.
    async fn commit(&self, commits: Vec<TreeCommit>) -> HashMap<JobId, StoreError> {
        if commits.is_empty() {
            return HashMap::new();
        }
        let roots: Vec<JobId> = commits.iter().map(|commit| commit.root).collect();
        #[expect(clippy::disallowed_methods, reason = "measures, decides nothing")]
        let begun = Instant::now();
        let results = self.store.commit(commits).await;
        self.metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
        let failed = roots.into_iter().zip(results);
        failed.filter_map(|(root, result)| result.err().map(|error| (root, error))).collect()
    }

    /// Answers every operation that is decided; gives back those to compute again.
    fn answer(&self, applied: Vec<Applied>, failed: &HashMap<JobId, StoreError>) -> Vec<Submitted> {
        let mut again = Vec::new();
        for Applied { mut submitted, root, outcome, became } in applied {
            match root.and_then(|root| failed.get(&root)) {
                Some(StoreError::Stale { .. }) => again.push(submitted),
                Some(error) => answer(submitted.reply, Err(error.clone().into())),
                None => match outcome {
                    Err(Error::IdConflict(id)) if submitted.operation.give_back(id) => {
                        again.push(submitted);
                    }
                    outcome => {
                        self.waiters.tell(&became);
                        self.metrics.operations.inc();
                        answer(submitted.reply, outcome);
                    }
                },
            }
        }
        again
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

/// Everything that applying the group may look at.
fn wanted(group: &[Submitted]) -> Wanted {
    let mut wanted = Wanted::default();
    for submitted in group {
        wanted.paths.extend(submitted.operation.subject());
        match &submitted.operation {
            Operation::ReserveIds { .. } => {}
            Operation::Create { jobs, .. } => {
                wanted.paths.extend(jobs.iter().filter_map(|job| job.id));
            }
            Operation::Update { id, change } => {
                let repeat = change.change_id.clone().map(Repeat::Change);
                wanted.repeats.extend(repeat.map(|key| (*id, key)));
            }
            Operation::SetOptions { id, .. } => {
                wanted.definitions.insert(*id);
            }
            Operation::AppendLog { id, lines } => {
                let repeat = lines.append_id.clone().map(Repeat::Append);
                wanted.repeats.extend(repeat.map(|key| (*id, key)));
            }
            Operation::PutAttachment { id, key, .. } | Operation::DeleteAttachment { id, key } => {
                wanted.attachments.insert((*id, key.clone()));
            }
        }
    }
    wanted
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
