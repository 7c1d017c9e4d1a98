//! Workers of the crate `jobtracker-worker`, in this process and as processes of their own.

use std::{fs, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jobtracker_client::{
    JobId, JobTrackerClient, ListPage, NewJob, NewTask, Payload, ProblemCode, Retry, State,
    StateSet, TaskPhaseName, Timeouts, WorkerFilter, WorkerState,
};
use jobtracker_server::{Config, StoreKind};
use jobtracker_worker::{Failure, Handler, Outcome, Success, TaskContext, Worker, WorkerBuilder};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use crate::{
    command_line::refusal,
    harness::Harness,
    worker_process::{Signal, WorkerProcess, alive_in_group, listens},
};

mod http;
mod response;
mod schedules;
mod takeover;

/// Long enough that only a failing test waits for all of it.
const LONG: Duration = Duration::from_secs(60);
/// A lease time for tests that wait until one ends.
const SHORT_MS: u64 = 900;

fn short(config: &mut Config) {
    config.workers.lease_ms = SHORT_MS;
}

/// A worker in this process; dropped, it ends without a farewell.
struct Playing {
    running: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Playing {
    fn start(builder: WorkerBuilder) -> Self {
        let (stop, stopped) = oneshot::channel();
        let worker = builder.build().unwrap();
        let running = tokio::spawn(async move {
            worker.run(async { drop(stopped.await) }).await.unwrap();
        });
        Self { running, stop: Some(stop) }
    }

    /// Asks it to stop, as SIGTERM does.
    fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has ended.
    async fn ended(mut self) {
        tokio::time::timeout(LONG, &mut self.running).await.unwrap().unwrap();
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A handler that waits, and tells the test how far it is. That its job runs does not say so: the
/// answer to the claim may still be on its way.
#[derive(Clone, Default)]
struct Waits(Arc<Gate>);

#[derive(Default)]
struct Gate {
    begun: Notify,
    goes_on: Notify,
    ended: Notify,
    stopped: Notify,
}

#[async_trait]
impl Handler for Waits {
    async fn execute(&self, cx: TaskContext) -> Outcome {
        let Gate { begun, goes_on, ended, stopped } = &*self.0;
        begun.notify_one();
        tokio::select! {
            () = goes_on.notified() => {}
            () = cx.cancelled() => {
                stopped.notify_one();
                return Err(Failure::Failed("it was stopped".into()));
            }
        }
        ended.notify_one();
        Ok(Success::new())
    }
}

async fn told(event: &Notify) {
    tokio::time::timeout(LONG, event.notified()).await.expect("it comes to that");
}

fn builder(client: &JobTrackerClient) -> WorkerBuilder {
    Worker::builder(client.clone(), "w").slots(1)
}

async fn create(client: &JobTrackerClient, task: NewTask) -> JobId {
    client.create(NewJob::new("work").task(task)).await.unwrap().id
}

fn again() -> Retry {
    Retry { max: 1, initial_ms: 1, ..Retry::default() }
}

async fn end(client: &JobTrackerClient, job: JobId) -> State {
    let waited = client.wait_finished(job, LONG).await.unwrap();
    assert!(waited.reached, "job {job} is {}", waited.state);
    waited.state
}

async fn begins(client: &JobTrackerClient, job: JobId) {
    let running: StateSet = [State::Running].into_iter().collect();
    assert!(client.wait(job, running, LONG).await.unwrap().reached);
}

async fn story(client: &JobTrackerClient, job: JobId) -> Vec<State> {
    let page = client.changes(job, ListPage::default()).await.unwrap();
    page.items.into_iter().map(|change| change.state).collect()
}

/// What the last change of a job says.
async fn last_words(client: &JobTrackerClient, job: JobId) -> String {
    let page = client.changes(job, ListPage::default()).await.unwrap();
    page.items.last().and_then(|change| change.message.clone()).unwrap_or_default()
}

/// Asks again and again until it is so.
async fn until<F: Future<Output = bool>>(is: impl Fn() -> F) {
    let asking = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, asking).await.expect("it comes to that");
}

async fn whole(cx: TaskContext) -> Outcome {
    let name: String = cx.params()?;
    cx.log("one\ntwo").await;
    cx.progress(50);
    let child = NewJob::new(name).task(NewTask::new("test/fails"));
    let child = cx.spawn_child(child).await?;
    Success::new().message("done").result(&child.get())
}

async fn fails(cx: TaskContext) -> Outcome {
    match cx.data::<u32>()? {
        None => {
            cx.set_data(&7)?;
            panic!("attempt {} panics", cx.attempt());
        }
        Some(7) => Ok(Success::new()),
        Some(_) => Err(Failure::Rejected("not what it left".into())),
    }
}

#[tokio::test]
async fn handlers_say_what_becomes_of_tasks() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let large = |_| async { Success::new().result(&"x".repeat(20_000)) };
    let builder = builder(&client)
        .handler("test/whole", "uses everything", whole)
        .handler("test/fails", "panics once", fails)
        .handler("test/large", "answers too much", large);
    let worker = Playing::start(builder);
    let root = create(&client, NewTask::new("test/whole").params(Payload::of(&"c").unwrap())).await;
    // The first attempt of the child panics, and it has only one.
    assert_eq!(end(&client, root).await, State::Faulted);
    let task = client.task(root).await.unwrap();
    assert_eq!((task.phase, task.attempt), (TaskPhaseName::Ended, 1));
    let child = JobId::new(task.result.unwrap().as_str().parse().unwrap()).unwrap();
    let log = client.log(root, Default::default()).await.unwrap();
    let log: Vec<_> = log.items.into_iter().map(|line| line.text).collect();
    assert_eq!(log, ["one", "two"]);
    let said = last_words(&client, child).await;
    assert!(said.contains("the handler panicked: attempt 1 panics"), "{said}");

    let carried = create(&client, NewTask::new("test/fails").retry(again())).await;
    assert_eq!(end(&client, carried).await, State::RanToCompletion);
    let rejected = create(&client, NewTask::new("test/whole")).await;
    assert_eq!(end(&client, rejected).await, State::Faulted);
    let large = create(&client, NewTask::new("test/large")).await;
    assert_eq!(end(&client, large).await, State::Faulted);
    let said = last_words(&client, large).await;
    assert!(said.contains("cannot be reported"), "{said}");
    drop(worker);
    harness.stop().await;
}

#[tokio::test]
async fn a_handler_that_ignores_its_cancellation_is_given_up() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let late = |cx: TaskContext| async move {
        cx.cancelled().await;
        Ok(Success::new())
    };
    let builder = builder(&client)
        .handler("test/deaf", "", |_| std::future::pending::<Outcome>())
        .handler("test/late", "", late);
    let worker = Playing::start(builder);
    let timeouts = Timeouts { cancel_grace_ms: 50, ..Timeouts::default() };
    let deaf = create(&client, NewTask { timeouts, ..NewTask::new("test/deaf") }).await;
    // Its only slot is free after that.
    let late = create(&client, NewTask::new("test/late")).await;
    for job in [deaf, late] {
        begins(&client, job).await;
        client.cancel_task(job).await.unwrap();
        assert_eq!(end(&client, job).await, State::Faulted);
    }
    let timeouts = Timeouts { execution_ms: Some(50), ..Timeouts::default() };
    let slow = create(&client, NewTask { timeouts, ..NewTask::new("test/late") }).await;
    assert_eq!(end(&client, slow).await, State::Faulted);
    drop(worker);
    harness.stop().await;
}

#[tokio::test]
async fn a_worker_that_drains_ends_what_it_has_or_gives_it_back() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let waits = Waits::default();
    let gate = &waits.0;
    let builder = |drain| builder(&client).handler("test/waits", "", waits.clone()).drain(drain);
    let mut first = Playing::start(builder(LONG));
    let job = create(&client, NewTask::new("test/waits")).await;
    told(&gate.begun).await;
    first.stop();
    let is_draining = async || client.workers().await.unwrap()[0].state == WorkerState::Draining;
    until(is_draining).await;
    let next = create(&client, NewTask::new("test/waits")).await;
    gate.goes_on.notify_one();
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    first.ended().await;
    assert_eq!(client.workers().await.unwrap(), []);

    let mut second = Playing::start(builder(Duration::ZERO));
    told(&gate.begun).await;
    second.stop();
    second.ended().await;
    let task = client.task(next).await.unwrap();
    assert_eq!((task.phase, task.epoch, task.attempt), (TaskPhaseName::Waiting, 1, 0));
    let third = Playing::start(builder(LONG));
    told(&gate.begun).await;
    gate.goes_on.notify_one();
    assert_eq!(end(&client, next).await, State::RanToCompletion);
    assert_eq!(client.task(next).await.unwrap().attempt, 1, "no attempt was used");
    drop(third);
    harness.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_forgotten_while_it_drains_ends() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let waits = Waits::default();
    let mut worker = Playing::start(builder(&client).handler("test/waits", "", waits.clone()));
    let job = create(&client, NewTask::new("test/waits")).await;
    told(&waits.0.begun).await;
    worker.stop();
    let is_draining = async || client.workers().await.unwrap()[0].state == WorkerState::Draining;
    until(is_draining).await;
    client.leave_worker(&client.task(job).await.unwrap().worker.unwrap()).await.unwrap();
    worker.ended().await;
    assert_eq!(client.task(job).await.unwrap().phase, TaskPhaseName::Waiting);
    harness.stop().await;
}

#[tokio::test]
async fn a_task_lasts_as_long_as_its_worker_is_heard_of_and_moves_when_that_is_kicked() {
    let harness = Harness::start(StoreKind::Memory, short).await;
    let client = harness.client();
    let kicked = |cx: TaskContext| async move {
        if cx.attempt() == 1 {
            cx.cancelled().await;
        }
        Ok(Success::new())
    };
    let worker = Playing::start(builder(&client).handler("test/kicked", "", kicked));
    let job = create(&client, NewTask::new("test/kicked").retry(again())).await;
    begins(&client, job).await;
    let first = client.task(job).await.unwrap();
    let until_then = first.lease_until.unwrap().after(Duration::from_millis(2 * SHORT_MS));
    until(async || client.task(job).await.unwrap().lease_until.unwrap() > until_then).await;
    // It registers anew at once, since nothing keeps it out.
    client.kick_worker(&first.worker.unwrap(), Duration::ZERO).await.unwrap();
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    let task = client.task(job).await.unwrap();
    assert_eq!((task.epoch, task.attempt), (2, 2));
    drop(worker);
    harness.stop().await;
}

/// Reports of what ends while the service is away count when it is back.
#[tokio::test]
async fn a_report_waits_for_the_service_and_outlives_the_process() {
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let client = harness.client();
    let address = harness.url().trim_start_matches("http://").to_owned();
    let there = |config: &mut Config| config.server.listen = address.parse().unwrap();
    let waits = Waits::default();
    let gate = &waits.0;
    let folder = tempfile::tempdir().unwrap();
    let reports = || {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        // One that is being written does not count.
        files.filter(|file| file.extension().is_some_and(|kind| kind == "json")).count()
    };
    let builder = || {
        let builder = builder(&client).handler("test/waits", "", waits.clone());
        builder.spool(folder.path())
    };
    let worker = Playing::start(builder());
    let first = create(&client, NewTask::new("test/waits")).await;
    told(&gate.begun).await;
    let directory = harness.stop().await.unwrap();
    gate.goes_on.notify_one();
    told(&gate.ended).await;
    let harness = Harness::restart(directory, &there).await;
    assert_eq!(end(&client, first).await, State::RanToCompletion);

    let second = create(&client, NewTask::new("test/waits")).await;
    told(&gate.begun).await;
    let directory = harness.stop().await.unwrap();
    gate.goes_on.notify_one();
    told(&gate.ended).await;
    until(async || reports() == 1).await;
    drop(worker);
    let harness = Harness::restart(directory, &there).await;
    let worker = Playing::start(builder());
    assert_eq!(end(&client, second).await, State::RanToCompletion);
    for job in [first, second] {
        assert_eq!(client.task(job).await.unwrap().epoch, 1);
    }
    until(async || reports() == 0).await;
    drop(worker);
    harness.stop().await;
}

/// A service that has lost everything comes up in the place of another one.
#[tokio::test]
async fn a_worker_that_was_forgotten_stops_its_task_and_registers_anew() {
    let harness = Harness::start(StoreKind::Memory, short).await;
    let client = harness.client();
    let address = harness.url().trim_start_matches("http://").parse().unwrap();
    let waits = Waits::default();
    let worker = Playing::start(builder(&client).handler("test/waits", "", waits.clone()));
    create(&client, NewTask::new("test/waits")).await;
    told(&waits.0.begun).await;
    harness.stop().await;
    // Its lease is over by its own clock.
    told(&waits.0.stopped).await;
    let harness = Harness::start(StoreKind::Memory, |config| {
        short(config);
        config.server.listen = address;
    })
    .await;
    let next = create(&harness.client(), NewTask::new("test/waits")).await;
    told(&waits.0.begun).await;
    waits.0.goes_on.notify_one();
    assert_eq!(end(&harness.client(), next).await, State::RanToCompletion);
    drop(worker);
    harness.stop().await;
}

/// A task for the handler `command`.
fn command(script: &str) -> NewTask {
    let params = serde_json::json!({"program": "sh", "args": ["-c", script]});
    let timeouts = Timeouts { cancel_grace_ms: 2_000, ..Timeouts::default() };
    let task = NewTask::new("jobtracker/command").params(Payload::of(&params).unwrap());
    NewTask { timeouts, ..task.retry(again()) }
}

/// The first attempt lasts until it is ended.
const ONCE: &str = "test $JOBTRACKER_EPOCH = 2 || exec sleep 30";

#[tokio::test]
async fn the_task_of_a_worker_that_is_killed_is_run_by_another() {
    let harness = Harness::start(StoreKind::Fjall, short).await;
    let client = harness.client();
    let first = WorkerProcess::start(harness.url(), &["--slots", "1"]);
    let job = create(&client, command(ONCE)).await;
    begins(&client, job).await;
    let other = WorkerProcess::start(harness.url(), &[]);
    first.send(Signal::Kill);
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    let first = [State::WaitingToRun, State::Running, State::Warning];
    let all = [&first[..], &[State::Running, State::RanToCompletion]].concat();
    assert_eq!(story(&client, job).await, all);
    let task = client.task(job).await.unwrap();
    assert_eq!((task.epoch, task.attempt), (2, 2));
    other.send(Signal::Terminate);
    assert_eq!(other.code(), Some(0));
    harness.stop().await;
}

#[tokio::test]
async fn a_worker_that_was_frozen_past_its_lease_changes_nothing_and_goes_on() {
    let harness = Harness::start(StoreKind::Memory, short).await;
    let client = harness.client();
    let frozen = WorkerProcess::start(harness.url(), &["--slots", "1"]);
    let job = create(&client, command(ONCE)).await;
    begins(&client, job).await;
    let id = client.task(job).await.unwrap().worker.unwrap();
    frozen.send(Signal::Stop);
    let other = WorkerProcess::start(harness.url(), &[]);
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    let told = story(&client, job).await;
    frozen.send(Signal::Continue);
    // Its only slot is free again once the attempt is over for it as well.
    let filter = WorkerFilter { workers: vec![id.clone()], ..WorkerFilter::default() };
    let next = create(&client, NewTask { filter, ..command("true") }).await;
    assert_eq!(end(&client, next).await, State::RanToCompletion);
    assert_eq!(story(&client, job).await, told);
    drop((frozen, other));
    harness.stop().await;
}

#[tokio::test]
async fn a_cancelled_command_ends_with_all_that_it_has_started() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let worker = WorkerProcess::start(harness.url(), &["--tag", "t", "--label", "k=v"]);
    // The second one does not end by itself when it is asked to.
    let script = "echo $$; (trap '' TERM; sleep 600; sleep 600) & wait";
    let job = create(&client, command(script)).await;
    let log = async || client.log(job, Default::default()).await.unwrap().items;
    until(async || !log().await.is_empty()).await;
    let group = log().await[0].text.parse().unwrap();
    assert!(alive_in_group(group) >= 2);
    assert!(!listens(worker.id()), "a worker opens no port");
    client.cancel_task(job).await.unwrap();
    assert_eq!(end(&client, job).await, State::Faulted);
    until(async || alive_in_group(group) == 0).await;
    assert_eq!(story(&client, job).await.last(), Some(&State::Faulted));

    let known = &client.workers().await.unwrap()[0];
    assert_eq!(known.worker.tags, ["t"]);
    assert_eq!(known.worker.labels["k"], "v");
    assert!(known.load.is_some());
    let other = serde_json::json!({"program": "bash", "args": ["-c", "true"]});
    let other = command("").params(Payload::of(&other).unwrap());
    let refused = create(&client, other).await;
    assert_eq!(end(&client, refused).await, State::Faulted);
    assert_eq!(story(&client, refused).await.len(), 3, "no attempt follows a refusal");
    let fails = create(&client, command("echo no >&2; exit 3")).await;
    assert_eq!(end(&client, fails).await, State::Faulted);
    assert!(last_words(&client, fails).await.contains("exit code 3"));
    assert_eq!(client.log(fails, Default::default()).await.unwrap().items[0].text, "no");
    worker.send(Signal::Terminate);
    assert_eq!(worker.code(), Some(0));
    harness.stop().await;
}

#[test]
fn no_program_is_run_unless_it_is_named() {
    let refused = refusal(&["worker", "--enable", "command"]);
    assert!(refused.contains("--allow"), "{refused}");
    let refused = refusal(&["worker", "--enable", "sharding_demo", "--allow", "sh"]);
    assert!(refused.contains("--enable command"), "{refused}");
    assert!(Path::new("/proc/self").exists(), "the tests of processes need it");
}
