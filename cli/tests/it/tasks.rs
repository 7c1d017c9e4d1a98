//! Tasks that workers claim, run and report, over HTTP.

use std::{collections::BTreeMap, time::Duration};

use jobtracker_client::{
    ClaimedTask, Error, Heartbeat, HeldTask, JobId, JobTrackerClient, ListPage, NewChange, NewJob,
    NewTask, NewWorker, OnNoWorker, Payload, ProblemCode, Retry, Routing, State, TaskChildren,
    TaskLog, TaskPhaseName, TaskReport, TaskReportState, Timeouts, WorkerFilter, WorkerHandler,
    WorkerState,
    schedule::{NewSchedule, ScheduleDefinition, Sharding, TriggerSchedule},
};
use jobtracker_server::{Config, StoreKind};

use crate::harness::{Harness, STORES};

mod at_once;
mod per_worker;
mod progress;
mod shards;
mod socket;

/// Long enough that only a failing test waits for all of it.
const LONG: Duration = Duration::from_secs(30);
/// A lease time for tests that wait until one ends.
const SHORT_MS: u64 = 600;

/// A worker that a test plays.
struct Player {
    client: JobTrackerClient,
    id: String,
}

fn offering(name: &str, tags: &[&str]) -> NewWorker {
    let handler = WorkerHandler { name: "test/run".into(), description: "runs".into() };
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let labels = BTreeMap::new();
    NewWorker { name: name.into(), handlers: vec![handler], tags, labels, slots: 4 }
}

impl Player {
    async fn new(harness: &Harness, name: &str, tags: &[&str]) -> Self {
        let client = harness.client();
        let id = client.register_worker(&offering(name, tags)).await.unwrap().id;
        Self { client, id }
    }

    async fn claim(&self) -> ClaimedTask {
        let tasks = self.client.claim_tasks(&self.id, 1, LONG).await.unwrap();
        tasks.into_iter().next().expect("a task comes in time")
    }

    /// Says that it lives and has nothing, until it gets a task.
    async fn claim_without_naming(&self) -> ClaimedTask {
        let again = async {
            loop {
                let beat = self.beat(&[], Duration::from_millis(50));
                self.client.heartbeat(&self.id, &beat).await.unwrap();
                let tasks = self.client.claim_tasks(&self.id, 1, Duration::from_millis(50)).await;
                if let Some(task) = tasks.unwrap().pop() {
                    return task;
                }
            }
        };
        tokio::time::timeout(LONG, again).await.unwrap()
    }

    async fn has_none(&self) -> bool {
        self.client.claim_tasks(&self.id, 4, Duration::ZERO).await.unwrap().is_empty()
    }

    async fn report(&self, task: &ClaimedTask, state: TaskReportState) -> Result<State, Error> {
        let report = TaskReport::new(&self.id, task.epoch, state);
        Ok(self.client.report_task(task.job, &report).await?.state)
    }

    fn beat(&self, tasks: &[&ClaimedTask], wait: Duration) -> Heartbeat {
        let held = |task: &&ClaimedTask| {
            let ClaimedTask { job, epoch, .. } = **task;
            HeldTask { job, epoch, progress: None }
        };
        let tasks = tasks.iter().map(held).collect();
        Heartbeat { tasks, wait_ms: wait.as_millis() as u64, ..Heartbeat::default() }
    }
}

async fn create(client: &JobTrackerClient, task: NewTask) -> JobId {
    client.create(NewJob::new("work").task(task)).await.unwrap().id
}

fn run() -> NewTask {
    NewTask::new("test/run")
}

async fn story(client: &JobTrackerClient, job: JobId) -> Vec<State> {
    let page = client.changes(job, ListPage::default()).await.unwrap();
    page.items.into_iter().map(|change| change.state).collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<ProblemCode> {
    result.unwrap_err().code()
}

#[tokio::test]
async fn a_worker_that_waits_gets_a_task_and_ends_its_job() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let player = Player::new(&harness, "w", &[]).await;
        assert!(player.has_none().await);
        let params = Payload::parse(r#"{"n":1}"#).unwrap();
        let (task, job) = tokio::join!(player.claim(), async {
            create(&player.client, run().params(params.clone())).await
        });
        assert_eq!((task.job, task.epoch, task.attempt), (job, 1, 1));
        assert_eq!(task.params, Some(params));
        let view = player.client.task(job).await.unwrap();
        assert_eq!((view.phase, view.worker), (TaskPhaseName::Running, Some(player.id.clone())));
        assert!(player.has_none().await);
        let outside = NewChange::new(State::RanToCompletion);
        let outside = player.client.update(job, outside).await;
        assert_eq!(code(outside), Some(ProblemCode::StaleLease));
        let stale = ClaimedTask { epoch: 2, ..task.clone() };
        let stale = player.report(&stale, TaskReportState::Succeeded).await;
        assert_eq!(code(stale), Some(ProblemCode::StaleLease));
        for _ in 0..2 {
            let state = player.report(&task, TaskReportState::Succeeded).await.unwrap();
            assert_eq!(state, State::RanToCompletion);
        }
        let all = [State::WaitingToRun, State::Running, State::RanToCompletion];
        assert_eq!(story(&player.client, job).await, all);
        let handlers = player.client.handlers().await.unwrap();
        assert_eq!((handlers[0].name.as_str(), handlers[0].workers), ("test/run", 1));
        let plain = player.client.create(NewJob::new("plain")).await.unwrap().id;
        assert_eq!(code(player.client.task(plain).await), Some(ProblemCode::TaskNotFound));
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_task_goes_only_to_workers_that_pass_its_filter() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let plain = Player::new(&harness, "plain", &[]).await;
    let big = Player::new(&harness, "big", &["big"]).await;
    let tagged = WorkerFilter { tags: vec!["big".into()], ..WorkerFilter::default() };
    let named = WorkerFilter { workers: vec![big.id.clone()], ..WorkerFilter::default() };
    for filter in [tagged, named] {
        let job = create(&plain.client, NewTask { filter, ..run() }).await;
        // The one that may not have it waits already, and longer.
        let (passed, task) = tokio::join!(
            plain.client.claim_tasks(&plain.id, 1, Duration::from_millis(50)),
            big.claim()
        );
        assert!(passed.unwrap().is_empty() && task.job == job);
    }
    harness.stop().await;
}

/// More of them than one kind of tasks has in memory.
#[tokio::test]
async fn tasks_that_no_worker_may_claim_hide_no_others() {
    const MANY: usize = 1_100;
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let plain = Player::new(&harness, "plain", &[]).await;
    let big = WorkerFilter { tags: vec!["big".into()], ..WorkerFilter::default() };
    let root = harness.client().create(NewJob::new("root")).await.unwrap().id;
    let task = NewTask { filter: big, ..run() };
    let jobs = (0..MANY).map(|_| NewJob::new("work").task(task.clone())).collect();
    let items = harness.client().create_children(root, jobs).await.unwrap();
    let job = create(&plain.client, run()).await;
    assert_eq!(plain.claim().await.job, job);
    // A worker that may run them comes, and gets all of them, the oldest first.
    let big = Player::new(&harness, "big", &["big"]).await;
    let mut claimed = Vec::new();
    while claimed.len() < MANY {
        let tasks = big.client.claim_tasks(&big.id, 1_000, LONG).await.unwrap();
        assert!(!tasks.is_empty(), "after {} tasks", claimed.len());
        let mut jobs: Vec<_> = tasks.into_iter().map(|task| task.job).collect();
        jobs.sort();
        claimed.extend(jobs);
    }
    let created: Vec<_> = items.into_iter().map(|created| created.id).collect();
    assert_eq!(claimed, created);
    harness.stop().await;
}

/// The worker for which a task is kept.
async fn assigned(client: &JobTrackerClient, job: JobId) -> String {
    let looking = async {
        loop {
            if let Some(worker) = client.task(job).await.unwrap().assigned_to {
                return worker;
            }
        }
    };
    tokio::time::timeout(LONG, looking).await.expect("a worker is chosen in time")
}

#[tokio::test]
async fn a_rule_chooses_the_worker_that_alone_may_claim_the_task() {
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let players = [Player::new(&harness, "a", &[]).await, Player::new(&harness, "b", &[]).await];
    let task = NewTask { routing: Routing::RoundRobin {}, ..run() };
    for turn in [0, 1, 0] {
        let job = create(&harness.client(), task.clone()).await;
        let [chosen, other] = [&players[turn], &players[1 - turn]];
        assert_eq!(assigned(&harness.client(), job).await, chosen.id);
        assert!(other.has_none().await);
        let claimed = chosen.claim().await;
        assert_eq!(claimed.job, job);
        chosen.report(&claimed, TaskReportState::Succeeded).await.unwrap();
    }
    // The same key goes to the same worker.
    let key = Routing::ConsistentHash { key: Some("k".into()), param: None };
    let task = NewTask { routing: key, ..run() };
    let mut chosen = Vec::new();
    for _ in 0..3 {
        let job = create(&harness.client(), task.clone()).await;
        chosen.push(assigned(&harness.client(), job).await);
    }
    chosen.dedup();
    assert!(chosen.len() == 1 && players.iter().any(|player| player.id == chosen[0]));
    let unknown = NewTask { routing: Routing::Custom { name: "own".into() }, ..run() };
    let refused = harness.client().create(NewJob::new("work").task(unknown)).await;
    assert_eq!(code(refused), Some(ProblemCode::InvalidField));
    harness.stop().await;
}

/// R4.
#[tokio::test]
async fn a_task_goes_on_to_the_next_worker_if_the_chosen_one_does_not_claim_it() {
    for kind in STORES {
        let harness = Harness::start(kind, |config| config.workers.assign_ttl_ms = 200).await;
        let frozen = Player::new(&harness, "a", &[]).await;
        let other = Player::new(&harness, "b", &[]).await;
        let task = NewTask { routing: Routing::Failover {}, ..run() };
        let job = create(&harness.client(), task).await;
        assert_eq!(assigned(&harness.client(), job).await, frozen.id);
        let claimed = other.claim().await;
        assert_eq!((claimed.job, claimed.epoch, claimed.attempt), (job, 1, 1));
        harness.stop().await;
    }
}

#[tokio::test]
async fn each_task_is_run_by_one_of_many_workers() {
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let mut players = Vec::new();
    for number in 0..4 {
        players.push(Player::new(&harness, &format!("w{number}"), &[]).await);
    }
    let jobs = (0..100).map(|_| NewJob::new("work").task(run())).collect();
    let root = harness.client().create(NewJob::new("root")).await.unwrap().id;
    harness.client().create_children(root, jobs).await.unwrap();
    let done = NewChange::new(State::RanToCompletion);
    harness.client().update(root, done).await.unwrap();
    let working = players.iter().map(|player| async move {
        let mut ran = 0;
        loop {
            let wait = Duration::from_millis(200);
            let tasks = player.client.claim_tasks(&player.id, 7, wait).await.unwrap();
            for task in &tasks {
                player.report(task, TaskReportState::Succeeded).await.unwrap();
            }
            ran += tasks.len();
            let state = player.client.state(root).await.unwrap();
            if state.is_finished() {
                return ran;
            }
        }
    });
    let ran: Vec<usize> = futures_util::future::join_all(working).await;
    assert_eq!(ran.iter().sum::<usize>(), 100);
    assert_eq!(harness.client().state(root).await.unwrap(), State::RanToCompletion);
    harness.stop().await;
}

#[tokio::test]
async fn the_task_of_a_silent_worker_is_run_by_another() {
    for kind in STORES {
        let harness = Harness::start(kind, |config| config.workers.lease_ms = SHORT_MS).await;
        let silent = Player::new(&harness, "silent", &[]).await;
        let retry = Retry { max: 1, initial_ms: 1, ..Retry::default() };
        let job = create(&silent.client, run().retry(retry)).await;
        let lost = silent.claim().await;
        let other = Player::new(&harness, "other", &[]).await;
        let task = other.claim().await;
        assert_eq!((task.job, task.epoch, task.attempt), (job, 2, 2));
        let late = silent.report(&lost, TaskReportState::Succeeded).await;
        assert_eq!(code(late), Some(ProblemCode::StaleLease));
        let orders = silent.client.heartbeat(&silent.id, &silent.beat(&[&lost], LONG)).await;
        assert_eq!(orders.unwrap().abandon, [job]);
        other.report(&task, TaskReportState::Succeeded).await.unwrap();
        use State::{RanToCompletion, Running, WaitingToRun, Warning};
        let all = [WaitingToRun, Running, Warning, Running, RanToCompletion];
        assert_eq!(story(&other.client, job).await, all);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_is_heard_of_keeps_its_task() {
    let harness =
        Harness::start(StoreKind::Memory, |config| config.workers.lease_ms = SHORT_MS).await;
    let player = Player::new(&harness, "w", &[]).await;
    let job = create(&player.client, run()).await;
    let task = player.claim().await;
    let first = player.client.task(job).await.unwrap().lease_until.unwrap();
    // Until the lease has been prolonged twice.
    let mut lasts = vec![first];
    while lasts.len() < 3 {
        let beat = player.beat(&[&task], Duration::from_millis(SHORT_MS / 6));
        let orders = player.client.heartbeat(&player.id, &beat).await.unwrap();
        assert!(orders.abandon.is_empty() && orders.cancel.is_empty());
        let until = player.client.task(job).await.unwrap().lease_until.unwrap();
        if until > lasts[lasts.len() - 1] {
            lasts.push(until);
        }
    }
    assert_eq!(player.report(&task, TaskReportState::Succeeded).await.unwrap(), {
        State::RanToCompletion
    });
    harness.stop().await;
}

#[tokio::test]
async fn what_a_worker_does_not_know_of_is_given_back() {
    let harness =
        Harness::start(StoreKind::Memory, |config| config.workers.lease_ms = 3 * SHORT_MS).await;
    let player = Player::new(&harness, "w", &[]).await;
    create(&player.client, run()).await;
    // The answer is lost.
    let lost = player.claim().await;
    let task = player.claim_without_naming().await;
    assert_eq!((task.job, task.epoch, task.attempt), (lost.job, 2, 1), "no attempt is used");
    harness.stop().await;
}

/// The server that knew to whom it had answered is gone as well.
#[tokio::test]
async fn what_a_worker_does_not_know_of_is_given_back_after_a_restart() {
    let soon = |config: &mut Config| config.workers.lease_ms = 3 * SHORT_MS;
    let harness = Harness::start(StoreKind::Fjall, soon).await;
    let player = Player::new(&harness, "w", &[]).await;
    create(&player.client, run()).await;
    let lost = player.claim().await;
    let directory = harness.stop().await.unwrap();
    let harness = Harness::restart(directory, soon).await;
    let player = Player { client: harness.client(), id: player.id };
    let task = player.claim_without_naming().await;
    assert_eq!((task.job, task.epoch, task.attempt), (lost.job, 2, 1), "no attempt is used");
    harness.stop().await;
}

#[tokio::test]
async fn a_cancelled_task_is_told_to_its_worker_and_stays_cancelled() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let player = Player::new(&harness, "w", &[]).await;
    let job = create(&player.client, run()).await;
    let task = player.claim().await;
    let beat = player.beat(&[&task], LONG);
    let (orders, cancelled) = tokio::join!(player.client.heartbeat(&player.id, &beat), async {
        player.client.cancel_task(job).await
    });
    assert!(cancelled.unwrap().cancelling);
    assert_eq!(orders.unwrap().cancel, [job]);
    assert_eq!(player.report(&task, TaskReportState::Succeeded).await.unwrap(), State::Faulted);
    // One that no worker has ends at once.
    let waiting = create(&player.client, NewTask { held: true, ..run() }).await;
    player.client.cancel_task(waiting).await.unwrap();
    assert_eq!(player.client.state(waiting).await.unwrap(), State::Faulted);
    let paused = create(&player.client, run()).await;
    player.client.pause_task(paused).await.unwrap();
    assert!(player.has_none().await);
    player.client.resume_task(paused).await.unwrap();
    assert_eq!(player.claim().await.job, paused);
    harness.stop().await;
}

#[tokio::test]
async fn workers_drain_and_are_kicked() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let [first, second] =
        [Player::new(&harness, "one", &[]).await, Player::new(&harness, "two", &[]).await];
    let retry = Retry { max: 1, initial_ms: 1, ..Retry::default() };
    let job = create(&first.client, run().retry(retry)).await;
    let task = first.claim().await;
    // A worker that is drained while it waits gets nothing more.
    second.client.drain_worker(&second.id).await.unwrap();
    let refused = second.client.claim_tasks(&second.id, 1, LONG).await;
    assert_eq!(code(refused), Some(ProblemCode::WorkerDraining));
    let orders = second.client.heartbeat(&second.id, &second.beat(&[], LONG)).await.unwrap();
    assert!(orders.drain);
    second.client.leave_worker(&second.id).await.unwrap();
    let unknown = second.client.heartbeat(&second.id, &second.beat(&[], LONG)).await;
    assert_eq!(code(unknown), Some(ProblemCode::WorkerNotFound));
    // The leases of one that is kicked move at once.
    let kicked = first.client.kick_worker(&first.id, Duration::from_secs(60)).await.unwrap();
    assert_eq!(kicked.state, WorkerState::Kicked);
    let stale = first.report(&task, TaskReportState::Succeeded).await;
    assert_eq!(code(stale), Some(ProblemCode::StaleLease));
    let refused = first.client.heartbeat(&first.id, &first.beat(&[], LONG)).await;
    assert_eq!(code(refused), Some(ProblemCode::WorkerKicked));
    let back = first.client.register_worker(&offering("one", &[])).await;
    assert_eq!(code(back), Some(ProblemCode::WorkerKicked));
    let third = Player::new(&harness, "three", &[]).await;
    assert_eq!(third.claim().await.job, job);
    let all = third.client.workers().await.unwrap();
    let states: Vec<_> = all.iter().map(|one| (one.worker.name.as_str(), one.state)).collect();
    assert_eq!(states, [("one", WorkerState::Kicked), ("three", WorkerState::Online)]);
    harness.stop().await;
}

#[tokio::test]
async fn a_task_for_which_there_is_no_worker_fails_if_it_says_so() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let on_no_worker = OnNoWorker::Fail;
    let none = create(&client, NewTask { on_no_worker, ..run() }).await;
    let timeouts = Timeouts { schedule_to_start_ms: Some(100), ..Timeouts::default() };
    let late = create(&client, NewTask { timeouts, ..run() }).await;
    for job in [none, late] {
        assert_eq!(client.wait_finished(job, LONG).await.unwrap().state, State::Faulted);
        let page = client.changes(job, ListPage::default()).await.unwrap();
        let reason = page.items.last().unwrap().reason_code.as_deref();
        assert_eq!(reason, Some("no_worker"));
    }
    // With a worker, both are run.
    let player = Player::new(&harness, "w", &[]).await;
    for task in [NewTask { on_no_worker, ..run() }, NewTask { timeouts, ..run() }] {
        let waiting = create(&client, task);
        let (claimed, job) = tokio::join!(player.claim(), waiting);
        assert_eq!(claimed.job, job);
    }
    harness.stop().await;
}

#[tokio::test]
async fn tasks_and_their_leases_outlive_the_server() {
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let player = Player::new(&harness, "w", &[]).await;
    let [running, waiting] =
        [create(&player.client, run()).await, create(&player.client, run()).await];
    let task = player.claim().await;
    assert_eq!(task.job, running, "the oldest is the first");
    let directory = harness.stop().await.unwrap();
    let harness = Harness::restart(directory, |_| {}).await;
    let player = Player { client: harness.client(), id: player.id };
    let beat = player.beat(&[&task], Duration::ZERO);
    let orders = player.client.heartbeat(&player.id, &beat).await.unwrap();
    assert!(orders.abandon.is_empty());
    let state = player.report(&task, TaskReportState::Succeeded).await.unwrap();
    assert_eq!(state, State::RanToCompletion);
    assert_eq!(player.claim().await.job, waiting);
    harness.stop().await;
}

/// X4.
#[tokio::test]
async fn a_tree_that_is_cancelled_ends_with_all_below_it_and_nothing_more_of_it_starts() {
    const WAITING: usize = 300;
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        let player = Player::new(&harness, "w", &[]).await;
        let root = client.create(NewJob::new("root")).await.unwrap().id;
        let plain =
            client.create(NewJob { parent: Some(root), ..NewJob::new("plain") }).await.unwrap().id;
        let runs = NewJob { parent: Some(plain), ..NewJob::new("runs") };
        let running = client.create(runs.task(run())).await.unwrap();
        let task = player.claim().await;
        assert_eq!(task.job, running.id);
        let jobs = (0..WAITING).map(|_| NewJob::new("waits").task(run())).collect();
        client.create_children(root, jobs).await.unwrap();
        let cancelled = client.cancel_tree(root).await.unwrap();
        let (ended, stopping) = (WAITING as u64 + 2, 1);
        assert_eq!((cancelled.ended, cancelled.stopping, cancelled.more), (ended, stopping, false));
        assert!(player.has_none().await);
        let orders = player.client.heartbeat(&player.id, &player.beat(&[&task], LONG)).await;
        assert_eq!(orders.unwrap().cancel, [running.id]);
        let (worker, epoch) = (player.id.clone(), task.epoch);
        let children = TaskChildren { worker, epoch, jobs: vec![NewJob::new("late")] };
        let late = client.create_children_of_task(task.job, children).await;
        assert_eq!(code(late), Some(ProblemCode::StaleLease), "it is to stop");
        assert!(!client.state(root).await.unwrap().is_finished(), "its worker has not stopped");
        player.report(&task, TaskReportState::Succeeded).await.unwrap();
        let all = client.get(root).await.unwrap().unwrap();
        assert_eq!((all.state, all.subtree.failed), (State::Faulted, ended));
        let again = client.cancel_tree(root).await.unwrap();
        assert_eq!((again.ended, again.stopping), (0, 0));
        harness.stop().await;
    }
}

/// S1, S3, S4.
#[tokio::test]
async fn a_run_has_a_shard_for_each_worker_that_is_there_and_no_other_runs_it() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let mut players = Vec::new();
    for (name, tags) in [("a", &[][..]), ("b", &["big"]), ("c", &[]), ("d", &[])] {
        players.push(Player::new(&harness, name, tags).await);
    }
    let retry = Retry { max: 3, initial_ms: 1, ..Retry::default() };
    let mut definition = ScheduleDefinition::new([]);
    definition.run.task = Some(NewTask { retry, ..run() });
    definition.sharding = Sharding::All;
    client.create_schedule(&NewSchedule::new("all", definition.clone())).await.unwrap();
    let request = TriggerSchedule::default();
    for (lost, expected) in [(None, State::RanToCompletion), (Some(2), State::Faulted)] {
        let root = client.trigger_schedule("all", &request).await.unwrap().run.unwrap();
        let mut shards = Vec::new();
        for (number, player) in players.iter().enumerate() {
            let task = player.claim().await;
            shards.push(task.shard.unwrap().index);
            assert_eq!(task.shard.unwrap().total, 4);
            assert!(player.has_none().await, "one for each");
            let is_open = !client.get(root).await.unwrap().unwrap().state.is_finished();
            assert!(is_open, "it ends with the last shard");
            if lost == Some(number) {
                client.kick_worker(&player.id, Duration::from_secs(60)).await.unwrap();
            } else {
                player.report(&task, TaskReportState::Succeeded).await.unwrap();
            }
        }
        assert_eq!(shards, [0, 1, 2, 3]);
        assert_eq!(client.wait_finished(root, LONG).await.unwrap().state, expected);
        assert_eq!(client.get(root).await.unwrap().unwrap().subtree.total, 4);
    }
    let tags = vec!["big".to_owned()];
    definition.sharding =
        Sharding::Filter { filter: WorkerFilter { tags, ..WorkerFilter::default() } };
    client.create_schedule(&NewSchedule::new("big", definition.clone())).await.unwrap();
    let root = client.trigger_schedule("big", &request).await.unwrap().run.unwrap();
    let task = players[1].claim().await;
    assert_eq!(task.shard.unwrap().total, 1);
    players[1].report(&task, TaskReportState::Succeeded).await.unwrap();
    assert_eq!(client.wait_finished(root, LONG).await.unwrap().state, State::RanToCompletion);
    // Without a worker there is nothing to run.
    definition.run.task = Some(NewTask::new("test/other"));
    client.create_schedule(&NewSchedule::new("none", definition)).await.unwrap();
    let root = client.trigger_schedule("none", &request).await.unwrap().run.unwrap();
    assert_eq!(client.wait_finished(root, LONG).await.unwrap().state, State::Faulted);
    harness.stop().await;
}
