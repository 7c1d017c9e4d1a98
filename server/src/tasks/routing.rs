//! Which of the workers that may claim a task it is given to: pure, by the rule of the task and by
//! numbers of the workers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{NewTask, Routing, WorkerLoad};
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
    /// The worker for a task, as an index in the list; `None`: the task waits. The list is ordered
    /// by id and not empty; each worker in it may claim the task and has a free slot. Called again
    /// and again, so it answers at once.
    fn choose(&self, task: &NewTask, workers: &[RoutedWorker]) -> Option<usize>;
}

/// The operator's own rules, by name.
pub type Routers = HashMap<String, Arc<dyn Router>>;

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
    routers: &Routers,
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
        Routing::Any {} => None,
        Routing::First {} | Routing::Failover {} => free().next().map(at),
        Routing::Last {} => free().next_back().map(at),
        Routing::RoundRobin {} => {
            let last = workers.iter().max_by_key(|worker| worker.last);
            let last = last.filter(|last| last.last > 0).map(|last| &last.id);
            let is_next = |(_, worker): &(usize, &RoutedWorker)| Some(&worker.id) > last;
            free().find(is_next).or_else(|| free().next()).map(at)
        }
        Routing::Random {} => {
            let free: Vec<usize> = free().map(at).collect();
            (!free.is_empty()).then(|| free[rand::random_range(0..free.len())])
        }
        Routing::ConsistentHash { .. } => {
            let weight = |worker: &RoutedWorker| {
                xxh3_64_with_seed(worker.name.as_bytes(), xxh3_64_with_seed(key.as_bytes(), 0))
            };
            fresh().max_by_key(|(at, worker)| (weight(worker), *at)).map(at)
        }
        Routing::LeastDispatched {} => least(|worker| worker.dispatched),
        Routing::LeastRecentlyUsed {} => least(|worker| worker.last),
        Routing::LeastLoaded {} => least(RoutedWorker::taken),
        Routing::IdleFirst {} => {
            let idle = free().find(|(_, worker)| worker.running == 0).map(at);
            idle.or_else(|| least(RoutedWorker::taken))
        }
        Routing::MemoryFirst {} => most(RoutedWorker::free_memory),
        Routing::CpuFirst {} => most(RoutedWorker::idle),
        Routing::FastestResponse {} => most(|worker| worker.round_trip().map(|time| !time)),
        Routing::Specific { workers: named } => named.iter().find_map(|name| {
            fresh().find(|(_, worker)| worker.id == *name || worker.name == *name).map(at)
        }),
        Routing::Custom { name } => {
            let (places, free): (Vec<_>, Vec<_>) =
                free().map(|(at, worker)| (at, worker.clone())).unzip();
            let router = routers.get(name).filter(|_| !free.is_empty())?;
            places.get(router.choose(task, &free)?).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(number: u32) -> RoutedWorker {
        RoutedWorker {
            id: format!("w{number}"),
            name: format!("w{number}"),
            slots: 4,
            running: 0,
            load: None,
            dispatched: 0,
            last: 0,
        }
    }

    fn task(routing: Routing) -> NewTask {
        NewTask { routing, ..NewTask::new("a/b") }
    }

    struct Second;

    impl Router for Second {
        fn choose(&self, _: &NewTask, workers: &[RoutedWorker]) -> Option<usize> {
            (workers.len() > 1).then_some(1)
        }
    }

    /// The workers to which tasks go one after another, none of which ends.
    fn sequence(routing: Routing, workers: &mut [RoutedWorker], count: usize) -> Vec<String> {
        let (task, tried) = (task(routing), HashSet::new());
        let routers: Routers =
            [("second".to_owned(), Arc::new(Second) as Arc<dyn Router>)].into_iter().collect();
        let mut stamp = workers.iter().map(|worker| worker.last).max().unwrap_or(0);
        let mut chosen = Vec::new();
        for _ in 0..count {
            let at = choose(&task, "key", workers, &tried, &routers);
            let Some(at) = at else { break };
            stamp += 1;
            let worker = &mut workers[at];
            worker.running += 1;
            worker.dispatched += 1;
            worker.last = stamp;
            chosen.push(worker.id.clone());
        }
        chosen
    }

    /// R1.
    #[test]
    fn each_rule_gives_its_sequence() {
        type Change = fn(&mut [RoutedWorker]);
        let load = |cpu: f64, free_memory, processors, round_trip_ms| WorkerLoad {
            cpu: Some(cpu),
            free_memory: Some(free_memory),
            processors: Some(processors),
            round_trip_ms: Some(round_trip_ms),
        };
        let nothing: Change = |_| {};
        let busy: Change = |workers| {
            (workers[0].running, workers[1].running, workers[2].running) = (2, 0, 1);
        };
        let used: Change = |workers| {
            (workers[0].last, workers[1].last, workers[2].last) = (3, 1, 2);
            (workers[0].dispatched, workers[1].dispatched, workers[2].dispatched) = (9, 7, 8);
        };
        let specific = |names: &[&str]| Routing::Specific {
            workers: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let cases: [(Routing, Change, &str); 16] = [
            (Routing::Any {}, nothing, ""),
            (Routing::First {}, nothing, "w0 w0 w0 w0 w1"),
            (Routing::Failover {}, busy, "w0 w0 w1 w1 w1"),
            (Routing::Last {}, nothing, "w2 w2 w2 w2 w1"),
            (Routing::RoundRobin {}, nothing, "w0 w1 w2 w0 w1"),
            (Routing::RoundRobin {}, used, "w1 w2 w0 w1 w2"),
            (Routing::LeastDispatched {}, used, "w1 w1 w2 w0 w1"),
            (Routing::LeastRecentlyUsed {}, used, "w1 w2 w0 w1 w2"),
            (Routing::LeastLoaded {}, busy, "w1 w1 w2 w0 w1"),
            (Routing::IdleFirst {}, busy, "w1 w1 w2 w0 w1"),
            (Routing::MemoryFirst {}, nothing, "w1 w1 w1 w1 w2"),
            (Routing::CpuFirst {}, nothing, "w2 w2 w2 w2 w1"),
            (Routing::FastestResponse {}, nothing, "w1 w1 w1 w1 w2"),
            (specific(&["w9", "w2", "w1"]), nothing, "w2 w2 w2 w2 w2"),
            (specific(&["w9"]), nothing, ""),
            (Routing::Custom { name: "second".into() }, nothing, "w1 w1 w1 w1 w2"),
        ];
        for (routing, change, expected) in cases {
            let mut workers = [0, 1, 2].map(worker);
            // The first one does not say how it is; the last one has more processors.
            workers[1].load = Some(load(0.5, 300, 2, 1.5));
            workers[2].load = Some(load(0.8, 200, 8, 9.0));
            change(&mut workers);
            let sequence = sequence(routing.clone(), &mut workers, 5);
            assert_eq!(sequence.join(" "), expected, "{routing:?}");
        }
    }

    #[test]
    fn chance_reaches_every_worker_with_room() {
        let mut workers = [0, 1, 2].map(worker);
        workers[0].running = 4;
        let chosen = sequence(Routing::Random {}, &mut workers, 20);
        assert_eq!(chosen.len(), 8, "none is given more than it may run");
        assert!(!chosen.contains(&"w0".to_owned()));
    }

    #[test]
    fn a_worker_that_had_its_time_is_passed_over() {
        let workers = [0, 1, 2].map(worker);
        let tried = HashSet::from(["w0".to_owned(), "w1".to_owned()]);
        let after = |routing| choose(&task(routing), "k", &workers, &tried, &Routers::default());
        for routing in [Routing::Failover {}, Routing::RoundRobin {}, Routing::LeastLoaded {}] {
            assert_eq!(after(routing), Some(2));
        }
        let hash = Routing::ConsistentHash { key: None, param: None };
        assert_eq!(after(hash), Some(2));
    }

    /// R1: of the keys of the others, none moves when a worker leaves, and about 1/n move in all.
    #[test]
    fn few_keys_move_when_a_worker_leaves() {
        const KEYS: usize = 10_000;
        let hash = task(Routing::ConsistentHash { key: None, param: None });
        let (none, routers) = (HashSet::new(), Routers::default());
        for count in [2_u32, 5, 20] {
            let all: Vec<_> = (0..count).map(worker).collect();
            let mut fewer = all.clone();
            let gone = fewer.remove(count as usize / 2).id;
            let owner = |workers: &[RoutedWorker], key: usize| {
                let at = choose(&hash, &key.to_string(), workers, &none, &routers).unwrap();
                workers[at].id.clone()
            };
            let mut moved = 0;
            for key in 0..KEYS {
                let (before, after) = (owner(&all, key), owner(&fewer, key));
                assert!(before == gone || before == after, "key {key} moves for nothing");
                moved += usize::from(before != after);
            }
            let most = KEYS * 3 / 2 / count as usize;
            assert!(moved > 0 && moved <= most, "{moved} of {KEYS} with {count} workers");
        }
    }
}
