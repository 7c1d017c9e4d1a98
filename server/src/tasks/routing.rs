//! Which of the workers that may claim a task it is given to: pure, by the rule of the task and by
//! numbers of the workers.

use std::collections::HashSet;

use jobtracker_model::{NewTask, Routing, WorkerLoad};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A worker that may claim a task, as a rule sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutedWorker {
    /// Its id.
    pub id: String,
    /// What people call it, the same at each start.
    pub name: String,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// How many tasks it has or is to claim.
    pub running: u32,
    /// How busy it is, as it last said.
    pub load: Option<WorkerLoad>,
    /// How many tasks of this handler it was given within a day.
    pub dispatched: u64,
    /// Grows with each task of this handler that a worker is given: that of its last one.
    pub last: u64,
}

/// A rule of the operator's own.
pub trait Router: Send + Sync {
    /// The worker for a task, as an index in the list, which is ordered by id and not empty.
    fn choose(&self, task: &NewTask, workers: &[RoutedWorker]) -> Option<usize>;
}

impl RoutedWorker {
    fn is_full(&self) -> bool {
        self.running >= self.slots
    }

    /// The share of its slots that is taken, so that shares compare as numbers.
    fn taken(&self) -> u64 {
        u64::from(self.running) * 1_000_000 / u64::from(self.slots.max(1))
    }

    fn free_memory(&self) -> Option<u64> {
        self.load?.free_memory
    }

    /// Idle processors, in thousandths.
    fn idle(&self) -> Option<u64> {
        let WorkerLoad { cpu, processors, .. } = self.load?;
        thousandths((1.0 - cpu?.clamp(0.0, 1.0)) * f64::from(processors.unwrap_or(1)))
    }

    fn round_trip(&self) -> Option<u64> {
        thousandths(self.load?.round_trip_ms?)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the limits of the number, and a fraction of a thousandth is no matter"
)]
fn thousandths(number: f64) -> Option<u64> {
    number.is_finite().then(|| (number.clamp(0.0, 1e12) * 1_000.0) as u64)
}

/// The worker for a task with this key, as an index: `workers` are those that may claim it, by id,
/// and `tried` had their time to do so. `None` while it has to wait for one of them.
pub(super) fn choose(
    task: &NewTask,
    key: &str,
    workers: &[RoutedWorker],
    tried: &HashSet<String>,
    custom: impl Fn(&str) -> Option<usize>,
) -> Option<usize> {
    let all = || workers.iter().enumerate();
    let is_tried = |worker: &RoutedWorker| tried.contains(&worker.id);
    let fresh = || all().filter(|(_, worker)| !is_tried(worker));
    let free = || fresh().filter(|(_, worker)| !worker.is_full());
    let at = |(at, _): (usize, &RoutedWorker)| at;
    let least = |number: fn(&RoutedWorker) -> u64| {
        free().min_by_key(|(at, worker)| (number(worker), *at)).map(at)
    };
    // Those that have not said it are behind those that have.
    let most = |number: fn(&RoutedWorker) -> Option<u64>| {
        let rank = |worker: &RoutedWorker| number(worker).map_or(u64::MAX, |number| !number);
        free().min_by_key(|(at, worker)| (rank(worker), worker.taken(), *at)).map(at)
    };
    match &task.routing {
        Routing::Any => None,
        Routing::First | Routing::Failover => free().next().map(at),
        Routing::Last => free().last().map(at),
        Routing::RoundRobin => {
            let last = workers.iter().max_by_key(|worker| worker.last);
            let last = last.filter(|last| last.last > 0).map(|last| &last.id);
            let is_next = |(_, worker): &(usize, &RoutedWorker)| Some(&worker.id) > last;
            free().find(is_next).or_else(|| free().next()).map(at)
        }
        Routing::Random => {
            let free: Vec<usize> = free().map(at).collect();
            (!free.is_empty()).then(|| free[rand::random_range(0..free.len())])
        }
        Routing::ConsistentHash { .. } => {
            let weight = |worker: &RoutedWorker| {
                xxh3_64_with_seed(worker.name.as_bytes(), xxh3_64_with_seed(key.as_bytes(), 0))
            };
            fresh().max_by_key(|(at, worker)| (weight(worker), *at)).map(at)
        }
        Routing::LeastDispatched => least(|worker| worker.dispatched),
        Routing::LeastRecentlyUsed => least(|worker| worker.last),
        Routing::LeastLoaded => least(RoutedWorker::taken),
        Routing::IdleFirst => {
            let idle = free().find(|(_, worker)| worker.running == 0).map(at);
            idle.or_else(|| least(RoutedWorker::taken))
        }
        Routing::MemoryFirst => most(RoutedWorker::free_memory),
        Routing::CpuFirst => most(RoutedWorker::idle),
        Routing::FastestResponse => most(|worker| worker.round_trip().map(|time| !time)),
        Routing::Specific { workers: named } => named.iter().find_map(|name| {
            fresh().find(|(_, worker)| worker.id == *name || worker.name == *name).map(at)
        }),
        Routing::Custom { name } => custom(name),
    }
}

/// Whether a task waits for the worker of its rule though that is busy.
pub(super) fn is_patient(routing: &Routing) -> bool {
    matches!(routing, Routing::ConsistentHash { .. } | Routing::Specific { .. })
}
