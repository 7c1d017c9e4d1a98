//! A store, an engine and a timer with a clock that the test sets.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_engine::{Engine, Options};
use jobtracker_model::{
    JobId, NewChange, State, Timestamp,
    schedule::{
        Concurrency, Firing, FiringOutcome, NewSchedule, Schedule, ScheduleDefinition,
        ScheduleTrigger, SkipReason,
    },
};
use jobtracker_scheduler::{Scheduler, Timer};
use jobtracker_store::Store;

/// A clock of this test alone: where it stands, and how the engine reads it.
macro_rules! clock {
    () => {{
        static NOW: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
        fn now() -> jobtracker_model::Timestamp {
            let millis = NOW.load(std::sync::atomic::Ordering::SeqCst);
            jobtracker_model::Timestamp::from_millis(millis).unwrap()
        }
        NOW.store($crate::world::BEGIN, std::sync::atomic::Ordering::SeqCst);
        $crate::world::Clock { now: &NOW, read: now }
    }};
}
pub(crate) use clock;

/// 2026-03-02T00:00:00Z, a Monday.
pub const BEGIN: i64 = 1_772_409_600_000;

#[derive(Clone, Copy)]
pub struct Clock {
    pub now: &'static std::sync::atomic::AtomicI64,
    pub read: fn() -> Timestamp,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        (self.read)()
    }

    pub fn set(&self, millis: i64) {
        self.now.store(BEGIN + millis, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Milliseconds since the begin.
pub fn since(time: Timestamp) -> i64 {
    time.millis() - BEGIN
}

/// A server.
pub struct World {
    pub clock: Clock,
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    pub scheduler: Arc<Scheduler>,
    pub timer: Timer,
    /// All firings that were seen, by schedule and number.
    pub seen: BTreeMap<(String, u64), Firing>,
}

impl World {
    pub fn new(clock: Clock, store: Arc<dyn Store>) -> Self {
        let engine = Engine::start(Arc::clone(&store), Options::new(clock.read));
        let scheduler = Arc::new(Scheduler::new(engine.clone(), Arc::clone(&store)));
        let timer = Timer::new(Arc::clone(&scheduler));
        Self { clock, store, engine, scheduler, timer, seen: BTreeMap::new() }
    }

    /// Stops this server and starts another one on the same store.
    pub async fn restart(self) -> Self {
        self.engine.close().await;
        let seen = self.seen;
        Self { seen, ..Self::new(self.clock, self.store) }
    }

    pub async fn create(&self, name: &str, definition: ScheduleDefinition) -> Schedule {
        let new = NewSchedule::new(name, definition);
        self.scheduler.create(new, "anna", self.clock.now()).await.unwrap()
    }

    /// Goes on to a time in steps of `step` milliseconds.
    pub async fn go_to(&mut self, millis: i64, step: i64) {
        while since(self.clock.now()) < millis {
            self.clock.set((since(self.clock.now()) + step).min(millis));
            self.tick().await;
        }
    }

    pub async fn tick(&mut self) {
        self.timer.tick(self.clock.now()).await;
        for schedule in self.schedules().await {
            for firing in self.scheduler.firings(&schedule.name).await.unwrap() {
                self.seen.insert((schedule.name.clone(), firing.number), firing);
            }
        }
    }

    pub async fn schedules(&self) -> Vec<Schedule> {
        let limit = jobtracker_store::PageLimit::items(1_000);
        self.scheduler.list(None, None, limit).await.unwrap().items
    }

    /// What became of the planned times of a schedule: time since the begin and outcome in short.
    pub fn outcomes(&self, name: &str) -> Vec<(i64, &'static str)> {
        let firings = self.seen.iter().filter(|((of, _), _)| of == name);
        firings.map(|(_, firing)| (since(firing.planned), short(firing))).collect()
    }

    /// The open runs of a schedule.
    pub async fn running(&self, name: &str) -> Vec<JobId> {
        self.scheduler.get(name).await.unwrap().running
    }

    /// Ends the oldest open run of a schedule.
    pub async fn end(&mut self, name: &str, state: State) -> JobId {
        let run = self.running(name).await[0];
        self.engine.update(run, NewChange::new(state)).await.unwrap();
        self.tick().await;
        run
    }

    pub async fn roots(&self) -> Vec<JobId> {
        let limit = jobtracker_store::PageLimit::items(1_000);
        let (mut roots, mut after) = (Vec::new(), None);
        loop {
            let query = jobtracker_store::RootsQuery {
                from: Timestamp::MIN,
                to: Timestamp::MAX,
                order: jobtracker_model::Order::Oldest,
                after,
                limit,
            };
            let listed = self.store.list_roots(query).await.unwrap();
            roots.extend(listed.items.into_iter().map(|root| root.id));
            after = listed.next;
            if after.is_none() {
                return roots;
            }
        }
    }
}

fn short(firing: &Firing) -> &'static str {
    match firing.outcome {
        FiringOutcome::Started { .. } => "started",
        FiringOutcome::Queued { .. } => "queued",
        FiringOutcome::Skipped { reason: SkipReason::Running } => "running",
        FiringOutcome::Skipped { reason: SkipReason::QueueFull } => "full",
        FiringOutcome::Skipped { reason: SkipReason::Replaced } => "replaced",
        FiringOutcome::Misfired { .. } => "misfired",
    }
}

/// A schedule at a fixed rate from its creation on.
pub fn every(millis: u64, concurrency: Concurrency) -> ScheduleDefinition {
    let rate = ScheduleTrigger::FixedRate { every_ms: millis, start: None };
    ScheduleDefinition { concurrency, ..ScheduleDefinition::new([rate]) }
}

pub const ANY: Concurrency = Concurrency::Allow { max: 100 };
