//! Tasks whose rules choose a worker: each is kept for that one, which alone may claim it for a
//! while; then for the next.

use std::collections::{BTreeMap, HashMap, HashSet};

use jobtracker_model::{JobId, NewTask, Routing, Timestamp, WorkerFilter};
use jobtracker_store::{Assignment, TaskPhase};

use super::{
    Dispatch,
    ready::{Candidate, Turn},
    routing::{self, RoutedWorker},
};

/// Workers that are chosen in one round.
const AT_ONCE: usize = 256;

/// What a candidate has whose task has a rule.
pub(super) struct Route {
    pub task: NewTask,
    /// The same for tasks that go to the same worker.
    pub key: String,
    /// Workers that had their time to claim it.
    pub tried: HashSet<String>,
}

impl Route {
    /// `None` for a task that goes to the first that claims it.
    pub fn new(id: JobId, task: &NewTask) -> Option<Box<Self>> {
        if task.routing.is_any() {
            return None;
        }
        let key = task.routing.key(task.params.as_ref(), &id.to_string());
        // The key is all that the rules of the service need of these.
        let is_own = matches!(task.routing, Routing::Custom { .. });
        let params = task.params.clone().filter(|_| is_own);
        let task = NewTask { params, data: None, ..task.clone() };
        Some(Box::new(Self { task, key, tried: HashSet::new() }))
    }
}

/// Tasks that are kept for workers.
#[derive(Default)]
pub(super) struct Kept(HashMap<String, BTreeMap<Turn, KeptTask>>);

struct KeptTask {
    candidate: Candidate,
    until: Timestamp,
    /// Another server has chosen the worker, and does not hear of its claim.
    is_foreign: bool,
}

/// A task with the worker that was chosen for it.
struct Pick {
    turn: Turn,
    candidate: Candidate,
    worker: String,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a task for the worker that another server has chosen.
    pub fn add_foreign(&mut self, turn: Turn, to: &Assignment, candidate: Candidate) {
        self.add(turn, to.clone(), candidate, true);
    }

    fn add(&mut self, turn: Turn, to: Assignment, candidate: Candidate, is_foreign: bool) {
        let Assignment { worker, until } = to;
        self.0.entry(worker).or_default().insert(turn, KeptTask { candidate, until, is_foreign });
    }

    /// Takes tasks for a worker, each with whether another server has chosen it.
    pub fn take(&mut self, worker: &str, most: usize) -> Vec<(Candidate, bool)> {
        let Some(kept) = self.0.get_mut(worker) else { return Vec::new() };
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, KeptTask { candidate, is_foreign, .. })) = kept.pop_first()
        {
            taken.push((candidate, is_foreign));
        }
        if kept.is_empty() {
            self.0.remove(worker);
        }
        taken
    }

    fn count(&self, worker: &str) -> u32 {
        self.0.get(worker).map_or(0, |kept| u32::try_from(kept.len()).unwrap_or(u32::MAX))
    }

    /// Takes out the tasks that their workers have not claimed in time.
    fn take_unclaimed(&mut self, now: Timestamp) -> Vec<(Turn, Candidate)> {
        let mut unclaimed = Vec::new();
        for (worker, kept) in &mut self.0 {
            for (turn, KeptTask { mut candidate, .. }) in
                kept.extract_if(.., |_, task| task.until <= now)
            {
                if let Some(route) = &mut candidate.route {
                    route.tried.insert(worker.clone());
                }
                unclaimed.push((turn, candidate));
            }
        }
        self.0.retain(|_, kept| !kept.is_empty());
        unclaimed
    }

    /// When the next one is not kept any more.
    fn first(&self) -> Option<Timestamp> {
        self.0.values().flat_map(BTreeMap::values).map(|task| task.until).min()
    }
}

impl Dispatch {
    /// Chooses workers for tasks with rules; answers when to do so again.
    pub(super) async fn route(&self, now: Timestamp) -> Option<Timestamp> {
        let picks = self.pick(now);
        let has_more = picks.len() >= AT_ONCE;
        let keeping = picks.into_iter().map(|pick| self.keep(pick, now));
        futures_util::future::join_all(keeping).await;
        let mut state = self.state.lock();
        state.give();
        if has_more { Some(now) } else { state.kept.first() }
    }

    fn pick(&self, now: Timestamp) -> Vec<Pick> {
        let mut state = self.state.lock();
        let state = &mut *state;
        for (turn, mut candidate) in state.kept.take_unclaimed(now) {
            if let Some(route) = candidate.route.take() {
                let task = route.task.clone();
                candidate.route = Some(route);
                state.routed.add(turn, &task, candidate);
            }
        }
        let (kept, mut picks) = (&state.kept, Vec::new());
        state.routed.visit(|handler, filter, tasks| {
            if picks.len() >= AT_ONCE {
                return;
            }
            let mut fleet = Fleet::new(self, kept, handler, filter);
            let chosen = tasks.extract_if(.., |_, candidate| {
                picks.len() + fleet.chosen.len() < AT_ONCE && fleet.choose(self, candidate)
            });
            let chosen: Vec<_> = chosen.collect();
            let workers = std::mem::take(&mut fleet.chosen).into_iter();
            picks.extend(chosen.into_iter().zip(workers).map(|((turn, candidate), worker)| Pick {
                turn,
                candidate,
                worker,
            }));
        });
        picks
    }

    /// Keeps a task for the worker that was chosen, for all servers.
    async fn keep(&self, Pick { turn, candidate, worker }: Pick, now: Timestamp) {
        let to = Assignment { worker, until: now.after(self.workers.assign_ttl()) };
        let kept = match self.engine.assign_task(candidate.id, candidate.epoch, to.clone()).await {
            Ok(changed) if changed.done => Some((to, false)),
            Ok(changed) => {
                let row = changed.task;
                let is_same =
                    row.epoch == candidate.epoch && matches!(row.phase, TaskPhase::Waiting(_));
                if !is_same {
                    candidate.settle();
                    return;
                }
                // Another server has chosen at the same time.
                row.assigned.map(|to| (to, true))
            }
            Err(error) => {
                tracing::warn!(job = %candidate.id, %error, "a task is kept for no worker now");
                None
            }
        };
        if let Some((to, is_foreign)) = kept {
            self.state.lock().kept.add(turn, to, candidate, is_foreign);
        }
    }
}

/// The workers that may claim the tasks of a queue.
struct Fleet {
    workers: Vec<RoutedWorker>,
    /// By worker, how many tasks are kept for it.
    kept: Vec<u32>,
    handler: String,
    /// Those that were chosen in this round.
    chosen: Vec<String>,
}

impl Fleet {
    fn new(dispatch: &Dispatch, kept: &Kept, handler: &str, filter: &WorkerFilter) -> Self {
        let mut workers = dispatch.workers.routed(handler, filter);
        let kept: Vec<u32> = workers.iter().map(|worker| kept.count(&worker.id)).collect();
        for (worker, kept) in workers.iter_mut().zip(&kept) {
            worker.running = worker.running.saturating_add(*kept);
        }
        Self { workers, kept, handler: handler.to_owned(), chosen: Vec::new() }
    }

    /// Chooses a worker for a task; answers whether there is one for it now.
    fn choose(&mut self, dispatch: &Dispatch, candidate: &mut Candidate) -> bool {
        let Some(route) = &mut candidate.route else { return false };
        let Route { task, key, tried } = &mut **route;
        if self.workers.iter().all(|worker| tried.contains(&worker.id)) {
            tried.clear();
        }
        let chosen = routing::choose(task, key, &self.workers, tried, &dispatch.routers);
        let Some(at) = chosen else { return false };
        let worker = &mut self.workers[at];
        // No more is kept for it than it could run at once.
        if self.kept[at] >= worker.slots {
            return false;
        }
        self.kept[at] += 1;
        worker.running = worker.running.saturating_add(1);
        worker.dispatched += 1;
        worker.last = dispatch.workers.note_use(&worker.id, &self.handler);
        self.chosen.push(worker.id.clone());
        true
    }
}
