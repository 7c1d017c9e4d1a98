use std::collections::{HashMap, HashSet};

use jobtracker_model::WorkerFilter;

use super::{Workers, document::WorkerDocument};

/// Kinds of tasks of which it is remembered that no worker here may claim them.
const UNFIT: usize = 4_096;

/// The workers that speak to this server, as the dispatcher last saw them.
#[derive(Default)]
pub(super) struct Here {
    generation: u64,
    workers: HashMap<String, WorkerDocument>,
    /// By handler: what no worker here may claim.
    unfit: HashMap<String, HashSet<WorkerFilter>>,
    kinds: usize,
}

/// How the workers have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub has_new: bool,
    pub has_fewer: bool,
}

impl Here {
    /// Takes over who speaks to this server now; `None` if these are the same as before.
    pub fn refresh(&mut self, workers: &Workers) -> Option<Moved> {
        let generation = workers.generation();
        if generation == self.generation {
            return None;
        }
        let online = workers.online_here();
        let has_new = online.keys().any(|id| !self.workers.contains_key(id));
        let has_fewer = self.workers.keys().any(|id| !online.contains_key(id));
        *self = Self { generation, workers: online, ..Self::default() };
        Some(Moved { has_new, has_fewer })
    }

    /// Whether one of them may claim a task.
    pub fn fits(&mut self, handler: &str, filter: &WorkerFilter) -> bool {
        if self.unfit.get(handler).is_some_and(|unfit| unfit.contains(filter)) {
            return false;
        }
        let fits = self.workers.iter().any(|(id, worker)| worker.may_run(id, handler, filter));
        if !fits {
            if self.kinds >= UNFIT {
                (self.kinds, self.unfit) = (0, HashMap::new());
            }
            let unfit = self.unfit.entry(handler.to_owned()).or_default();
            self.kinds += usize::from(unfit.insert(filter.clone()));
        }
        fits
    }
}
