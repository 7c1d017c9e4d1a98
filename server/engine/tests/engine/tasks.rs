//! The moves of tasks, with the states of their jobs.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::FutureExt;
use jobtracker_engine::{Claim, Engine, Error, Holder, Options, SOON, TaskChanged};
use jobtracker_model::{
    CheckedJob, NewChange, NewJob, NewLogLines, NewTask, OnNoWorker, Payload, Retry, State,
    TaskReport, TaskReportState, Timeouts, Timestamp, WorkerFilter,
};
use jobtracker_store::{
    Assignment, CancelReason, IndexId, IndexQuery, PageLimit, Store, TaskPhase, memory::MemoryStore,
};
use proptest::prelude::*;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    harness::{changes, id, job},
    upload::recording::{Recording, send},
};

/// The time of the clock, for the test that holds the lock.
static NOW: AtomicI64 = AtomicI64::new(0);
static TURN: Mutex<()> = Mutex::const_new(());

/// How long a lease lasts.
const LEASE: i64 = 30_000;

fn now() -> Timestamp {
    moment(NOW.load(Ordering::SeqCst))
}

fn it_is(millis: i64) {
    NOW.store(millis, Ordering::SeqCst);
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// An engine with one job that has a task, and whose clock this test alone sets.
struct Scene {
    store: Arc<dyn Store>,
    engine: Engine,
    _turn: MutexGuard<'static, ()>,
}

const JOB: u64 = 1;

impl Scene {
    async fn with(task: NewTask) -> Self {
        let turn = TURN.lock().await;
        it_is(0);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(now));
        engine.create(job(JOB, None).task(task)).await.unwrap();
        Self { store, engine, _turn: turn }
    }

    async fn claim(&self, worker: &str, epoch: u32) -> TaskChanged {
        let until = moment(now().millis() + LEASE);
        let claim = Claim { epoch, worker: worker.into(), until };
        self.engine.claim_task(id(JOB), claim).await.unwrap()
    }

    async fn report(&self, report: TaskReport) -> Result<TaskChanged, Error> {
        self.engine.report_task(id(JOB), report).await
    }

    async fn cancel(&self) -> TaskChanged {
        self.engine.cancel_task(id(JOB), CancelReason::Cancelled, None).await.unwrap()
    }

    async fn look(&self, epoch: u32, until: Option<i64>) -> TaskChanged {
        self.engine.look_at_lease(id(JOB), epoch, until.map(moment)).await.unwrap()
    }

    /// The own states of the job, each with its reason and message.
    async fn story(&self) -> Vec<String> {
        let told = changes(&*self.store, id(JOB)).await.into_iter().map(|change| {
            let parts = [Some(change.state.to_string()), change.reason_code, change.message];
            parts.into_iter().flatten().collect::<Vec<_>>().join("/")
        });
        told.collect()
    }

    async fn state(&self) -> State {
        self.store.get_job(id(JOB)).await.unwrap().unwrap().status.state
    }

    /// The entries that the indexes have.
    async fn entries(&self) -> Vec<(IndexId, i64)> {
        let mut entries = Vec::new();
        for index in IndexId::ALL {
            let (from, until) = (Timestamp::MIN, Timestamp::MAX);
            let limit = PageLimit::items(9);
            let query = IndexQuery { index, part: 0, from, until, after: None, limit };
            let page = self.store.list_index(query).await.unwrap();
            entries.extend(page.items.iter().map(|(key, _)| (index, key.time.millis())));
        }
        entries
    }
}

fn said(worker: &str, epoch: u32, state: TaskReportState) -> TaskReport {
    TaskReport::new(worker, epoch, state)
}

fn is_stale(result: &Result<TaskChanged, Error>) -> bool {
    matches!(result, Err(Error::StaleLease(of)) if *of == id(JOB))
}

/// Without jitter, so that times can be foretold.
fn retry(max: u32) -> Retry {
    Retry { jitter_percent: 0, ..Retry::times(max) }
}

#[tokio::test]
async fn a_lost_worker_is_followed_by_another() {
    let scene = Scene::with(NewTask::new("a/b").retry(retry(3))).await;
    assert_eq!(scene.entries().await, [(IndexId::Ready, 0)]);
    it_is(100);
    let claimed = scene.claim("w1", 0).await;
    assert!(claimed.done && claimed.state == State::Running && claimed.task.epoch == 1);
    assert_eq!(scene.entries().await, [(IndexId::Due, 100 + LEASE)]);
    assert!(!scene.claim("w2", 0).await.done && !scene.claim("w2", 1).await.done);
    // It is heard of once, and then no more.
    it_is(100 + LEASE - 1);
    assert!(!scene.look(1, None).await.done, "it is not due");
    it_is(100 + LEASE);
    assert!(scene.look(1, Some(70_000)).await.done);
    assert_eq!(scene.entries().await, [(IndexId::Due, 70_000)]);
    it_is(70_000);
    assert_eq!(scene.look(1, None).await.state, State::Warning);
    assert!(!scene.look(1, None).await.done, "it has been done");
    assert_eq!(scene.entries().await, [(IndexId::Ready, 71_000)]);
    assert!(!scene.claim("w2", 1).await.done, "the pause is not over");
    it_is(71_000);
    assert!(scene.claim("w2", 1).await.done);
    // The first worker comes back.
    assert!(is_stale(&scene.report(said("w1", 1, TaskReportState::Succeeded)).await));
    assert!(is_stale(&scene.report(said("w1", 2, TaskReportState::Succeeded)).await));
    let done = said("w2", 2, TaskReportState::Succeeded).message("all of it");
    assert_eq!(scene.report(done.clone()).await.unwrap().state, State::RanToCompletion);
    assert!(!scene.report(done).await.unwrap().done, "a repetition");
    assert!(is_stale(&scene.report(said("w2", 2, TaskReportState::Failed)).await));
    assert_eq!(
        scene.story().await,
        [
            "WaitingToRun",
            "Running/attempt 1 on worker w1",
            "Warning/worker_lost/attempt 1 of 4 failed: worker w1 was silent; \
             next at 1970-01-01T00:01:11.000Z",
            "Running/attempt 2 on worker w2",
            "RanToCompletion/all of it",
        ]
    );
    assert_eq!(scene.entries().await, []);
}

#[tokio::test]
async fn attempts_end_with_the_last_one() {
    let scene = Scene::with(NewTask::new("a/b").retry(retry(2))).await;
    let mut pauses = Vec::new();
    for epoch in 0..3 {
        let [(IndexId::Ready, from)] = scene.entries().await[..] else { panic!("it waits") };
        pauses.push(from - now().millis());
        it_is(from);
        assert!(scene.claim("w", epoch).await.done);
        let failed = said("w", epoch + 1, TaskReportState::Failed).message("no disk");
        scene.report(failed.clone()).await.unwrap();
        assert!(!scene.report(failed).await.unwrap().done, "a repetition");
    }
    assert_eq!(pauses, [0, 1_000, 2_000]);
    assert_eq!(
        scene.story().await.last().unwrap(),
        "Faulted/failed/attempt 3 of 3 failed: no disk"
    );
    assert_eq!((scene.state().await, scene.entries().await), (State::Faulted, vec![]));
}

#[tokio::test]
async fn an_attempt_takes_no_longer_than_it_may() {
    let timeouts = Timeouts { execution_ms: Some(5_000), ..Timeouts::default() };
    let scene = Scene::with(NewTask { timeouts, ..NewTask::new("a/b").retry(retry(1)) }).await;
    scene.claim("w", 0).await;
    assert_eq!(scene.entries().await, [(IndexId::Due, 5_000)]);
    it_is(5_000);
    assert_eq!(scene.look(1, Some(90_000)).await.state, State::Warning);
    it_is(6_000);
    scene.claim("w", 1).await;
    // The worker notices it first.
    scene.report(said("w", 2, TaskReportState::Timeout).message("too slow")).await.unwrap();
    assert_eq!(
        scene.story().await[2..],
        [
            "Warning/timeout/attempt 1 of 2 failed: it took longer than 5000 ms; \
             next at 1970-01-01T00:00:06.000Z",
            "Running/attempt 2 on worker w",
            "Faulted/timeout/attempt 2 of 2 failed: too slow",
        ]
    );
}

#[tokio::test]
async fn what_a_worker_hands_back_uses_no_attempt() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    scene.claim("w1", 0).await;
    let back = said("w1", 1, TaskReportState::HandedBack);
    let back = TaskReport { data: Some(Payload::parse("7").unwrap()), ..back };
    assert_eq!(scene.report(back).await.unwrap().state, State::Warning);
    let claimed = scene.claim("w2", 1).await;
    assert_eq!((claimed.task.attempt, claimed.task.epoch), (1, 2));
    assert_eq!(claimed.task.data.unwrap().as_str(), "7");
    scene.report(said("w2", 2, TaskReportState::Rejected).message("bad params")).await.unwrap();
    assert_eq!(scene.story().await.last().unwrap(), "Faulted/rejected/bad params");
}

#[tokio::test]
async fn a_task_is_cancelled_in_every_phase() {
    // While it waits, and while it is paused.
    for held in [false, true] {
        let scene = Scene::with(NewTask { held, ..NewTask::new("a/b") }).await;
        assert!(scene.cancel().await.done && !scene.cancel().await.done);
        assert_eq!(scene.story().await[1..], ["Faulted/cancelled/cancelled"]);
        assert!(!scene.claim("w", 0).await.done);
    }
    // While a worker has it: what the worker comes to does not count any more.
    for state in [TaskReportState::Succeeded, TaskReportState::Failed, TaskReportState::Paused] {
        let scene = Scene::with(NewTask::new("a/b").retry(retry(3))).await;
        scene.claim("w", 0).await;
        let asked = scene.cancel().await;
        assert!(asked.done && asked.state == State::Running);
        assert_eq!(scene.entries().await, [(IndexId::Due, 10_000)], "the time that it has");
        scene.report(said("w", 1, state).message("late")).await.unwrap();
        assert_eq!(scene.story().await[2..], ["Faulted/cancelled/cancelled: late"]);
    }
    // A worker that does not stop.
    let scene = Scene::with(NewTask::new("a/b").retry(retry(3))).await;
    scene.claim("w", 0).await;
    scene.cancel().await;
    it_is(10_000);
    assert!(scene.look(1, Some(90_000)).await.done);
    assert!(is_stale(&scene.report(said("w", 1, TaskReportState::Succeeded)).await));
    let end = "Faulted/cancelled/cancelled: its worker did not stop in time";
    assert_eq!(scene.story().await[2..], [end]);
}

#[tokio::test]
async fn a_task_waits_while_it_may_not_be_claimed() {
    let scene = Scene::with(NewTask { held: true, ..NewTask::new("a/b") }).await;
    assert!(!scene.claim("w", 0).await.done && scene.entries().await.is_empty());
    assert!(scene.engine.resume_task(id(JOB), None).await.unwrap().done);
    assert!(scene.engine.pause_task(id(JOB), Some("ann".into())).await.unwrap().done);
    assert!(!scene.claim("w", 0).await.done);
    assert!(scene.engine.resume_task(id(JOB), None).await.unwrap().done);
    scene.claim("w", 0).await;
    let refused = scene.engine.pause_task(id(JOB), None).await;
    assert!(matches!(refused, Err(Error::TaskIsRunning(_))));
    scene.report(said("w", 1, TaskReportState::Paused).message("for Ann")).await.unwrap();
    assert_eq!(
        scene.story().await[1..],
        [
            "Warning/paused/paused",
            "Warning/resumed/resumed",
            "Running/attempt 1 on worker w",
            "Warning/paused/for Ann",
        ]
    );
    // It was no attempt.
    scene.engine.resume_task(id(JOB), None).await.unwrap();
    assert_eq!(scene.claim("w", 1).await.task.attempt, 1);
    drop(scene);
    for held in [false, true] {
        let not_before = Some(moment(500));
        let scene = Scene::with(NewTask { held, not_before, ..NewTask::new("a/b") }).await;
        if held {
            assert!(scene.engine.resume_task(id(JOB), None).await.unwrap().done);
        }
        assert_eq!(scene.entries().await, [(IndexId::Ready, 500)]);
        assert!(!scene.claim("w", 0).await.done);
    }
}

#[tokio::test]
async fn a_task_that_no_worker_claims_fails_if_it_says_so() {
    async fn fail(scene: &Scene) -> Result<TaskChanged, Error> {
        scene.engine.fail_unclaimed(id(JOB), 0, "none came".into()).await
    }
    let scene = Scene::with(NewTask::new("a/b")).await;
    assert!(!fail(&scene).await.unwrap().done, "it waits for ever");
    drop(scene);
    let timeouts = Timeouts { schedule_to_start_ms: Some(50), ..Timeouts::default() };
    let scene = Scene::with(NewTask { timeouts, ..NewTask::new("a/b") }).await;
    assert!(!fail(&scene).await.unwrap().done, "there is time");
    it_is(50);
    assert!(fail(&scene).await.unwrap().done);
    assert_eq!(scene.story().await[1..], ["Faulted/no_worker/none came"]);
    drop(scene);
    let on_no_worker = OnNoWorker::Fail;
    let scene = Scene::with(NewTask { on_no_worker, ..NewTask::new("a/b") }).await;
    assert!(fail(&scene).await.unwrap().done);
}

#[tokio::test]
async fn only_the_holder_of_the_lease_speaks_for_the_job() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    let Scene { engine, .. } = &scene;
    scene.claim("w", 0).await;
    let refused = engine.update(id(JOB), NewChange::new(State::RanToCompletion)).await;
    assert!(matches!(refused, Err(Error::StaleLease(_))));
    let mut recording = Recording::default();
    recording.update(id(JOB), id(JOB), State::RanToCompletion, Timestamp::MIN);
    let outcome = send(engine, "past-the-lease", recording.records()).await.unwrap();
    assert_eq!(outcome.refused, 1, "{outcome:?}");
    let children =
        || vec![CheckedJob::try_from(NewJob::new("part").task(NewTask::new("a/b"))).unwrap()];
    let lines = || NewLogLines { lines: vec!["line".into()], append_id: None };
    for (epoch, fits) in [(2, false), (1, true)] {
        let holder = || Holder { worker: "w".into(), epoch };
        let made = engine.create_children_of_task(id(JOB), children(), holder()).await;
        let logged = engine.append_log_of_task(id(JOB), lines(), holder()).await;
        assert_eq!((made.is_ok(), logged.is_ok()), (fits, fits));
    }
    // What is no state of the job may come from any caller.
    engine.append_log(id(JOB), lines()).await.unwrap();
    engine.create(job(2, Some(JOB))).await.unwrap();
    scene.report(said("w", 1, TaskReportState::Succeeded)).await.unwrap();
    assert_eq!(scene.state().await, State::WaitingForChildrenToComplete);
    let late = engine.update(id(JOB), NewChange::new(State::Running)).await;
    assert!(matches!(late, Err(Error::StaleLease(_))));
}

#[tokio::test]
async fn a_repeated_creation_is_known_by_its_task_too() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    let again = |task: Option<NewTask>| {
        let job = NewJob { task, ..job(JOB, None) };
        scene.engine.create(job)
    };
    assert!(!again(Some(NewTask::new("a/b"))).await.unwrap().created);
    for other in [None, Some(NewTask::new("a/c")), Some(NewTask::new("a/b").retry(retry(1)))] {
        assert!(matches!(again(other).await, Err(Error::IdConflict(_))));
    }
}

#[tokio::test]
async fn a_commit_tells_of_tasks_that_may_be_claimed_soon() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    let told = || scene.engine.ready().now_or_never().is_some();
    assert!(told() && !told());
    scene.claim("w", 0).await;
    assert!(!told());
    scene.report(said("w", 1, TaskReportState::HandedBack)).await.unwrap();
    assert!(told());
    let late = moment(SOON.as_millis() as i64 + 1);
    let task = NewTask { not_before: Some(late), ..NewTask::new("a/b") };
    scene.engine.create(job(2, None).task(task)).await.unwrap();
    assert!(!told());
}

/// What can be done to a task, by workers of any lease and by callers.
#[derive(Debug, Clone)]
enum Act {
    Claim(u8, u32),
    Report(u8, u32, TaskReportState),
    Look(u32, bool),
    Lose(u32),
    Unclaimed(u32),
    Cancel,
    Pause,
    Resume,
    Wait(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let (worker, back) = (0..2_u8, 0..2_u32);
    let state = prop_oneof![
        Just(TaskReportState::Progress),
        Just(TaskReportState::Succeeded),
        Just(TaskReportState::Failed),
        Just(TaskReportState::Timeout),
        Just(TaskReportState::Rejected),
        Just(TaskReportState::Paused),
        Just(TaskReportState::HandedBack),
    ];
    prop_oneof![
        6 => (worker.clone(), back.clone()).prop_map(|(worker, back)| Act::Claim(worker, back)),
        5 => (worker, back.clone(), state)
            .prop_map(|(worker, back, state)| Act::Report(worker, back, state)),
        3 => (back.clone(), any::<bool>()).prop_map(|(back, heard)| Act::Look(back, heard)),
        1 => back.clone().prop_map(Act::Lose),
        1 => back.prop_map(Act::Unclaimed),
        1 => Just(Act::Cancel),
        1 => Just(Act::Pause),
        2 => Just(Act::Resume),
        5 => prop_oneof![1..2_000_i64, Just(LEASE), Just(10_000)].prop_map(Act::Wait),
    ]
}

/// What has to hold of the task, told from what was done alone.
#[derive(Default)]
struct Judge {
    /// Who has it, under which lease.
    holder: Option<(String, u32)>,
    epoch: u32,
    /// Attempts that count.
    attempts: u32,
    ended: bool,
    last_report: Option<(String, u32, TaskReportState)>,
}

impl Judge {
    /// Whether a report is to be taken.
    fn takes(&self, report: &TaskReport) -> bool {
        let is_holder = self.holder == Some((report.worker.clone(), report.epoch));
        let said = (report.worker.clone(), report.epoch, report.state);
        is_holder || self.last_report == Some(said)
    }

    fn learn(&mut self, act: &Act, changed: &TaskChanged) {
        let TaskChanged { done, task, .. } = changed;
        assert!(!(self.ended && *done), "what has ended stays so: {act:?}");
        if !*done {
            return;
        }
        match act {
            Act::Claim(worker, _) => {
                assert_eq!(self.holder, None, "one lease at a time");
                (self.epoch, self.attempts) = (self.epoch + 1, self.attempts + 1);
                self.holder = Some((format!("w{worker}"), self.epoch));
            }
            Act::Report(_, _, TaskReportState::Progress) => return,
            Act::Report(worker, _, state) => {
                self.last_report = Some((format!("w{worker}"), self.epoch, *state));
                let is_cancelled = matches!(task.phase, TaskPhase::Ended(_));
                let is_back =
                    [TaskReportState::HandedBack, TaskReportState::Paused].contains(state);
                self.attempts -= u32::from(is_back && !is_cancelled);
                self.holder = None;
            }
            Act::Look(..) | Act::Lose(_) if task.lease().is_none() => self.holder = None,
            _ => {}
        }
        self.ended = matches!(task.phase, TaskPhase::Ended(_));
        let has = task.lease().map(|lease| (lease.worker.clone(), task.epoch));
        assert_eq!((&has, task.epoch, task.attempt), (&self.holder, self.epoch, self.attempts));
        assert!(task.attempt <= RETRIES + 1);
    }
}

const RETRIES: u32 = 2;

impl Scene {
    async fn act(&self, act: &Act, judge: &Judge) -> Option<TaskChanged> {
        let (engine, of) = (&self.engine, id(JOB));
        let epoch = |back: u32| judge.epoch.saturating_sub(back);
        match act {
            Act::Claim(worker, back) => Some(self.claim(&format!("w{worker}"), epoch(*back)).await),
            Act::Report(worker, back, state) => {
                let report = said(&format!("w{worker}"), epoch(*back), *state);
                let taken = self.report(report.clone()).await;
                assert_eq!(taken.is_ok(), judge.takes(&report), "{report:?}");
                taken.ok()
            }
            Act::Look(back, heard) => {
                let until = heard.then(|| now().millis() + LEASE);
                Some(self.look(epoch(*back), until).await)
            }
            Act::Lose(back) => {
                Some(engine.lose_lease(of, epoch(*back), "kicked".into()).await.unwrap())
            }
            Act::Unclaimed(back) => {
                Some(engine.fail_unclaimed(of, epoch(*back), "none".into()).await.unwrap())
            }
            Act::Cancel => Some(self.cancel().await),
            Act::Pause => engine.pause_task(of, None).await.ok(),
            Act::Resume => Some(engine.resume_task(of, None).await.unwrap()),
            Act::Wait(millis) => {
                it_is(now().millis() + millis);
                None
            }
        }
    }

    /// The phase goes with the job's state and with the entry in the indexes.
    async fn check(&self, changed: &TaskChanged) {
        let (state, entries) = (self.state().await, self.entries().await);
        let last = self.store.get_job(id(JOB)).await.unwrap().unwrap().status.last;
        assert_eq!((changed.state, last), (state, state));
        match &changed.task.phase {
            TaskPhase::Waiting(from) => {
                assert!(matches!(state, State::WaitingToRun | State::Warning));
                assert_eq!(entries, [(IndexId::Ready, from.millis())]);
            }
            TaskPhase::Leased(lease) => {
                assert_eq!((state, entries.len()), (State::Running, 1));
                assert!(entries[0].0 == IndexId::Due && entries[0].1 <= lease.until.millis());
            }
            TaskPhase::Paused(_) => assert_eq!((state, entries), (State::Warning, vec![])),
            TaskPhase::Ended(_) => assert!(state.is_finished() && entries.is_empty()),
        }
    }
}

async fn play(acts: Vec<Act>) {
    let timeouts = Timeouts {
        schedule_to_start_ms: Some(20_000),
        execution_ms: Some(50_000),
        ..Timeouts::default()
    };
    let task = NewTask { timeouts, ..NewTask::new("a/b").retry(retry(RETRIES)) };
    let (scene, mut judge) = (Scene::with(task).await, Judge::default());
    for act in &acts {
        let Some(changed) = scene.act(act, &judge).await else { continue };
        judge.learn(act, &changed);
        scene.check(&changed).await;
    }
    let states: Vec<State> =
        changes(&*scene.store, id(JOB)).await.into_iter().map(|change| change.state).collect();
    let ends = states.iter().filter(|state| state.is_finished()).count();
    assert_eq!(ends, usize::from(judge.ended), "one end, and never a Faulted before it");
    let runs = states.iter().filter(|state| **state == State::Running).count();
    assert_eq!(runs, judge.epoch as usize, "each lease is told");
    scene.engine.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_task_has_one_holder_and_one_end(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}

#[tokio::test]
async fn a_report_is_repeated_by_the_worker_that_made_it_alone() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    scene.claim("w1", 0).await;
    let done = TaskReportState::Succeeded;
    assert!(scene.report(said("w1", 1, done)).await.unwrap().done);
    assert!(!scene.report(said("w1", 1, done)).await.unwrap().done);
    let other = scene.report(said("w2", 1, done)).await;
    assert!(matches!(other, Err(Error::StaleLease(_))), "{other:?}");
}

#[tokio::test]
async fn an_assigned_task_is_claimed_by_that_worker_alone_until_its_time_is_over() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    let to = |worker: &str, until| Assignment { worker: worker.into(), until: moment(until) };
    let assign = |to| scene.engine.assign_task(id(JOB), 0, to);
    assert!(assign(to("w1", 3_000)).await.unwrap().done);
    assert!(!assign(to("w2", 3_000)).await.unwrap().done, "it is kept for one already");
    assert!(!scene.claim("w2", 0).await.done);
    it_is(3_000);
    assert!(assign(to("w2", 6_000)).await.unwrap().done);
    assert!(!scene.claim("w1", 0).await.done);
    let claimed = scene.claim("w2", 0).await;
    assert!(claimed.done && claimed.task.assigned.is_none());
    assert!(!assign(to("w1", 9_000)).await.unwrap().done, "it does not wait");
}

/// No other worker has its id.
#[tokio::test]
async fn a_task_for_one_worker_ends_when_that_is_lost() {
    let task = NewTask { retry: Retry::times(3), ..NewTask::new("a/b") };
    let filter = WorkerFilter { workers: vec!["w1".into()], ..WorkerFilter::default() };
    let scene = Scene::with(NewTask { filter, ..task }).await;
    scene.claim("w1", 0).await;
    it_is(LEASE);
    assert!(scene.look(1, None).await.done);
    assert_eq!(scene.state().await, State::Faulted);
    assert!(scene.story().await.last().unwrap().contains("worker_lost"));
}

/// L3.
#[tokio::test]
async fn a_lease_that_is_renewed_lasts_as_long_as_the_work() {
    let scene = Scene::with(NewTask::new("a/b")).await;
    scene.claim("w1", 0).await;
    for due in (1..=240).map(|number| number * LEASE) {
        it_is(due);
        assert!(scene.look(1, Some(due + LEASE)).await.done);
    }
    let done = scene.report(said("w1", 1, TaskReportState::Succeeded)).await.unwrap();
    assert_eq!((done.state, scene.story().await.len()), (State::RanToCompletion, 3));
}
