//! Chooses workers for the tasks whose rules say so: each task is kept for one, which alone may
//! claim it for a while; then for the next.

use jobtracker_model::{Timestamp, WorkerFilter};
use jobtracker_store::{Assignment, TaskPhase};

use super::{
    dispatch::{Dispatch, State},
    ready::{Candidate, Route, Turn},
    routing::{self, RoutedWorker},
};

/// Workers that are chosen in one round.
const AT_ONCE: usize = 256;

/// A task with the worker that was chosen for it.
struct Pick {
    turn: Turn,
    candidate: Candidate,
    worker: String,
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
        let mut routed = std::mem::take(&mut state.routed);
        let mut picks = Vec::new();
        routed.visit(|handler, filter, tasks| {
            if picks.len() >= AT_ONCE {
                return;
            }
            let mut fleet = Fleet::new(self, state, handler, filter);
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
        state.routed = routed;
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
    fn new(dispatch: &Dispatch, state: &State, handler: &str, filter: &WorkerFilter) -> Self {
        let mut workers = dispatch.workers.routed(handler, filter);
        let kept: Vec<u32> = workers.iter().map(|worker| state.kept.count(&worker.id)).collect();
        for (worker, kept) in workers.iter_mut().zip(&kept) {
            worker.running = match state.waiting.is_full(&worker.id, filter) {
                true => worker.slots,
                false => worker.running.saturating_add(*kept),
            };
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
