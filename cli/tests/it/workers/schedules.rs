//! Schedules and the workers that run them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use jobtracker_client::{
    NewWorker, TaskReport, TaskReportState, WorkerHandler,
    schedule::{
        ConcurrencyScope, FiringOutcome, NewSchedule, RegisterSchedule, Registration, RunEnding,
        RunTemplate, Schedule, ScheduleCode, ScheduleDefinition, ScheduleTrigger, Triggered,
    },
};
use jobtracker_worker::WorkerError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

fn every_ms(every_ms: u64) -> ScheduleDefinition {
    let run = RunTemplate { task: Some(NewTask::new("test/quick")), ..RunTemplate::default() };
    let rate = ScheduleTrigger::FixedRate { every_ms, start: None };
    ScheduleDefinition { run, ..ScheduleDefinition::new([rate]) }
}

async fn quick(_: TaskContext) -> Outcome {
    Ok(Success::new())
}

/// C4.
#[tokio::test]
async fn runs_may_be_counted_on_each_worker() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let waits = Waits::default();
    // It has room for more tasks than it may have of the schedule.
    let busy = builder(&client).slots(4).handler("test/waits", "", waits.clone());
    let busy = Playing::start(busy);
    let handler = WorkerHandler { name: "test/waits".into(), description: String::new() };
    let (name, handlers) = ("other".to_owned(), vec![handler]);
    let (tags, labels) = (Vec::new(), BTreeMap::new());
    let other = NewWorker { name, handlers, tags, labels, slots: 4 };
    let other = client.register_worker(&other).await.unwrap().id;
    until(async || client.workers().await.unwrap().len() == 2).await;
    let run = RunTemplate { task: Some(NewTask::new("test/waits")), ..RunTemplate::default() };
    let concurrency_scope = ConcurrencyScope::Worker;
    let each = ScheduleDefinition { run, concurrency_scope, ..ScheduleDefinition::new([]) };
    client.create_schedule(&NewSchedule::new("each", each)).await.unwrap();
    let mut runs = Vec::new();
    for is_queued in [false, false, true] {
        let fired = client.trigger_schedule("each", &Default::default()).await.unwrap();
        let Triggered { run: Some(run), outcome, .. } = fired else { panic!("{fired:?}") };
        let queued = FiringOutcome::Queued { run };
        let expected = if is_queued { queued } else { FiringOutcome::Started { run } };
        assert_eq!(outcome, Some(expected));
        runs.push(run);
    }
    told(&waits.0.begun).await;
    // One of the first two is left for the other worker, and the third one follows on that.
    let claim = async || client.claim_tasks(&other, 4, Duration::from_secs(30)).await.unwrap();
    let claimed = claim().await;
    assert!(claimed.len() == 1 && runs[..2].contains(&claimed[0].job), "{claimed:?}");
    let done = TaskReport::new(&other, claimed[0].epoch, TaskReportState::Succeeded);
    client.report_task(claimed[0].job, &done).await.unwrap();
    let third = claim().await;
    assert!(third.len() == 1 && third[0].job == runs[2], "{third:?}");
    drop(busy);
    harness.stop().await;
}

/// A5.
#[tokio::test]
async fn a_program_registers_its_schedule_and_what_operators_did_stays() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let register = async |version, every| {
        let new = RegisterSchedule { version, definition: every_ms(every) };
        client.register_schedule("own", &new).await.unwrap()
    };
    let shown = async || -> (u64, bool, ScheduleDefinition, Option<ScheduleCode>) {
        let Schedule { version, enabled, definition, code, .. } =
            client.schedule("own").await.unwrap();
        (version, enabled, definition, code)
    };
    let code = |version, changed_by_hand| Some(ScheduleCode { version, changed_by_hand });
    let day = 86_400_000;

    let created = register(2, day).await;
    assert_eq!((created.outcome, created.code_version), (Registration::Created, Some(2)));
    assert_eq!(register(2, day).await.outcome, Registration::Unchanged);
    assert_eq!(register(1, 2 * day).await.outcome, Registration::OlderVersion);
    assert_eq!(register(2, 2 * day).await.outcome, Registration::SameVersion);
    assert_eq!(shown().await, (1, true, every_ms(day), code(2, false)));

    client.enable_schedule("own", false).await.unwrap();
    assert_eq!(register(3, 2 * day).await.outcome, Registration::Replaced);
    assert_eq!(shown().await, (2, false, every_ms(2 * day), code(3, false)));

    client.replace_schedule("own", &every_ms(3 * day), Some(2)).await.unwrap();
    let ignored = register(4, 4 * day).await;
    assert_eq!((ignored.outcome, ignored.code_version), (Registration::ChangedByHand, Some(3)));
    assert_eq!(shown().await, (3, false, every_ms(3 * day), code(3, true)));
    // The program has come to the same definition.
    assert_eq!(register(4, 3 * day).await.outcome, Registration::Unchanged);
    assert_eq!(register(5, 4 * day).await.outcome, Registration::Replaced);
    assert_eq!(shown().await, (4, false, every_ms(4 * day), code(5, false)));

    let by_hand = NewSchedule::new("hand", every_ms(day));
    client.create_schedule(&by_hand).await.unwrap();
    let new = RegisterSchedule { version: 1, definition: every_ms(2 * day) };
    let ignored = client.register_schedule("hand", &new).await.unwrap();
    assert_eq!((ignored.outcome, ignored.code_version), (Registration::ChangedByHand, None));
    let zero = RegisterSchedule { version: 0, definition: every_ms(day) };
    let refused = client.register_schedule("own", &zero).await.unwrap_err();
    assert_eq!(refused.code(), Some(ProblemCode::InvalidField));
    harness.stop().await;
}

#[tokio::test]
async fn a_worker_registers_the_schedules_that_it_was_built_with() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let offers = || builder(&client).handler("test/quick", "", quick);
    let newer = Playing::start(offers().schedule("often", 2, every_ms(100)));
    until(async || {
        let schedule = client.schedule("often").await;
        schedule.is_ok_and(|schedule| schedule.statistics.succeeded > 1)
    })
    .await;
    // An older program changes nothing, and works all the same.
    let older = Playing::start(offers().schedule("often", 1, every_ms(86_400_000)));
    until(async || client.workers().await.unwrap().len() == 2).await;
    let job = create(&client, NewTask::new("test/quick")).await;
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    let often = client.schedule("often").await.unwrap();
    assert_eq!((often.version, often.definition), (1, every_ms(100)));
    drop((newer, older));

    let zone = ScheduleTrigger::Cron { pattern: "0 3 * * *".into(), zone: "Nowhere".into() };
    let refused = offers().schedule("x", 1, ScheduleDefinition::new([zone])).build().unwrap();
    let refused = refused.run(std::future::pending()).await.unwrap_err();
    assert!(matches!(refused, WorkerError::Schedule { name, .. } if name == "x"));
    let past = offers().schedule("x", 0, every_ms(100)).build().unwrap_err();
    assert!(past.to_string().contains("\"x\""), "{past}");
    harness.stop().await;
}

/// A way to the service on which no schedule can be registered until that is allowed.
struct Way {
    url: String,
    is_open: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    passing: JoinHandle<()>,
}

impl Way {
    async fn to(service: &str) -> Self {
        let service = service.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (is_open, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (open, count) = (Arc::clone(&is_open), Arc::clone(&refused));
        let passing = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&service).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&open), Arc::clone(&count)));
            }
        });
        Self { url, is_open, refused, passing }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

/// Passes on what both say; ends at a request that is not allowed.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    is_open: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
) {
    let (mut request, mut reply) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let done = tokio::select! {
            read = client.read(&mut request) => {
                let said = &request[..read.unwrap_or(0)];
                if said.starts_with(b"POST /api/v1/schedules/") && !is_open.load(Ordering::SeqCst) {
                    refused.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if said.is_empty() { return } else { server.write_all(said).await }
            }
            read = server.read(&mut reply) => match &reply[..read.unwrap_or(0)] {
                [] => return,
                said => client.write_all(said).await,
            },
        };
        if done.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_worker_stays_registered_while_its_schedules_cannot_be() {
    let harness = Harness::start(StoreKind::Memory, short).await;
    let client = harness.client();
    let way = Way::to(harness.url()).await;
    let offers = builder(&JobTrackerClient::new(&way.url).unwrap());
    let offers = offers.handler("test/quick", "", quick);
    let worker = Playing::start(offers.schedule("rare", 1, every_ms(86_400_000)));
    let known = async || client.workers().await.unwrap();
    until(async || !known().await.is_empty()).await;
    let first = known().await.remove(0);
    let later = first.registered.after(Duration::from_millis(3 * SHORT_MS));
    until(async || known().await[0].heard > later).await;
    assert!(way.refused.load(Ordering::SeqCst) > 1, "it is tried again");
    let job = create(&client, NewTask::new("test/quick")).await;
    way.is_open.store(true, Ordering::SeqCst);
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    assert_eq!(client.schedule("rare").await.unwrap().version, 1, "it came before the tasks");
    let now: Vec<_> = known().await.into_iter().map(|worker| worker.id).collect();
    assert_eq!(now, [first.id]);
    drop((worker, way));
    harness.stop().await;
}

/// S5.
#[tokio::test]
async fn a_run_ends_with_the_last_of_many_children_and_is_followed_once() {
    const PARTS: usize = 10_000;
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let done = Arc::new(AtomicUsize::new(0));
    let part = {
        let done = Arc::clone(&done);
        move |_| {
            done.fetch_add(1, Ordering::SeqCst);
            async { Ok(Success::new()) }
        }
    };
    let map = |cx: TaskContext| async move {
        let part = NewJob::new("part").task(NewTask::new("test/part"));
        cx.spawn_children(vec![part; PARTS]).await?;
        Ok(Success::new())
    };
    let reduce = {
        let done = Arc::clone(&done);
        move |_| {
            let done = done.load(Ordering::SeqCst);
            async move { Success::new().result(&done) }
        }
    };
    let worker = builder(&client).slots(200).handler("test/map", "", map);
    let worker =
        Playing::start(worker.handler("test/part", "", part).handler("test/reduce", "", reduce));
    let task =
        |name: &str| RunTemplate { task: Some(NewTask::new(name)), ..RunTemplate::default() };
    let map = ScheduleDefinition { run: task("test/map"), ..ScheduleDefinition::new([]) };
    client.create_schedule(&NewSchedule::new("map", map)).await.unwrap();
    let after = ScheduleTrigger::After { schedule: "map".into(), on: RunEnding::Success };
    let reduce =
        ScheduleDefinition { run: task("test/reduce"), ..ScheduleDefinition::new([after]) };
    client.create_schedule(&NewSchedule::new("reduce", reduce)).await.unwrap();
    let root = client.trigger_schedule("map", &Default::default()).await.unwrap().run.unwrap();
    assert_eq!(end(&client, root).await, State::RanToCompletion);
    until(async || client.schedule("reduce").await.unwrap().statistics.succeeded == 1).await;
    let firings = client.firings("reduce").await.unwrap();
    assert_eq!(firings.len(), 1);
    let reduced = client.task(firings[0].run().unwrap()).await.unwrap();
    assert_eq!(reduced.result.unwrap().as_str(), PARTS.to_string());
    assert_eq!(done.load(Ordering::SeqCst), PARTS, "each part was run once");
    drop(worker);
    harness.stop().await;
}
