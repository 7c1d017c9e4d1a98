//! Several servers on one store, which end at any point.

use std::{collections::BTreeMap, future::poll_fn, pin::pin, sync::Arc, task::Poll};

use jobtracker_engine::{Claim, Engine};
use jobtracker_model::{
    NewChange, NewTask, State, TaskReport, TaskReportState,
    schedule::{Concurrency, FiringOutcome, Misfire, ScheduleDefinition, TriggerSchedule},
};
use jobtracker_store::{Store, memory::MemoryStore};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::world::{ANY, World, clock, every, since};

/// M3: a server that ends between the firing and the creation of its run.
#[tokio::test]
async fn a_run_that_its_server_did_not_make_is_made_by_the_next_one() {
    let clock = clock!();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let world = World::new(clock, Arc::clone(&store));
    let definition = ScheduleDefinition {
        sharding: jobtracker_model::schedule::Sharding::Fixed { total: 3 },
        ..ScheduleDefinition::new([])
    };
    world.create("hand", definition).await;
    // The ids are reserved before, and then the engine takes nothing more.
    let now = clock.now();
    world.scheduler.trigger("hand", &TriggerSchedule::default(), "a", now).await.unwrap();
    let first = world.running("hand").await[0];
    for shard in 1..=3 {
        let id = jobtracker_model::JobId::new(first.get() + shard).unwrap();
        world.engine.update(id, NewChange::new(State::RanToCompletion)).await.unwrap();
    }
    world.engine.close().await;
    let fired = world.scheduler.trigger("hand", &TriggerSchedule::default(), "a", now).await;
    let run = fired.unwrap().run.unwrap();
    assert!(store.get_job(run).await.unwrap().is_none(), "the server could make no run");
    let firing = &world.scheduler.firings("hand").await.unwrap()[0];
    assert_eq!(firing.outcome, FiringOutcome::Started { run });

    let mut other = World::new(clock, Arc::clone(&store));
    other.tick().await;
    let root = store.get_job(run).await.unwrap().expect("the other server has made it");
    assert_eq!(root.status.state, State::WaitingForChildrenToComplete);
    assert_eq!(root.status.subtree.total, 3);
    assert_eq!(other.running("hand").await, [run]);
}

/// A future that is dropped after it was polled a given number of times.
async fn polled<T>(most: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = most;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// M1: what one of three servers does next.
#[derive(Debug, Clone)]
struct Act {
    server: usize,
    /// By how much the clock goes on before.
    pause: i64,
    /// The server ends at this point of its work, and starts again.
    ends: Option<usize>,
    /// It ends an open run.
    finishes: bool,
}

fn act() -> impl Strategy<Value = Act> {
    let pause = prop_oneof![8 => 0_i64..700, 1 => 6_000_i64..20_000];
    (0..3_usize, pause, prop::option::weighted(0.3, 0..12_usize), any::<bool>())
        .prop_map(|(server, pause, ends, finishes)| Act { server, pause, ends, finishes })
}

#[test]
fn each_planned_time_has_one_firing_and_each_firing_one_run_whatever_ends() {
    let cases = if std::env::var_os("JOBTRACKER_LONG").is_some() { 200 } else { 8 };
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let policies = (
        prop::sample::select(vec![
            Concurrency::Queue { limit: 5 },
            Concurrency::DiscardNew,
            Concurrency::ReplaceRunning,
            ANY,
        ]),
        prop::sample::select(vec![Misfire::FireOnce, Misfire::Skip, Misfire::FireAll { limit: 4 }]),
    );
    let acts = prop::collection::vec(act(), 20..60);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runner
        .run(&(policies, acts), |((concurrency, misfire), acts)| {
            runtime.block_on(each_time_once(concurrency, misfire, acts));
            Ok(())
        })
        .unwrap();
}

const NAMES: [&str; 3] = ["a", "b", "c"];
/// The schedule whose runs are tasks.
const WITH_TASK: &str = "c";
const EVERY: u64 = 500;

async fn each_time_once(concurrency: Concurrency, misfire: Misfire, acts: Vec<Act>) {
    let clock = clock!();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut servers: Vec<_> = (0..3).map(|_| World::new(clock, Arc::clone(&store))).collect();
    for name in NAMES {
        let mut definition = ScheduleDefinition { misfire, ..every(EVERY, concurrency) };
        definition.run.task = (name == WITH_TASK).then(|| NewTask::new("a/b"));
        servers[0].create(name, definition).await;
    }
    // Closing the engines of all servers that ended takes a thread each; they end with the test.
    let mut ended: Vec<Engine> = Vec::new();
    let mut seen = BTreeMap::new();
    for Act { server, pause, ends, finishes } in acts {
        clock.set(since(clock.now()) + pause);
        if finishes && let Some(run) = servers[server].running(NAMES[server]).await.first() {
            // It may not have been made yet.
            let engine = &servers[server].engine;
            if NAMES[server] == WITH_TASK {
                let until = clock.now().after(std::time::Duration::from_secs(30));
                let claim = Claim { epoch: 0, worker: "w".into(), until };
                let _ = engine.claim_task(*run, claim).await;
                let report = TaskReport::new("w", 1, TaskReportState::Succeeded);
                let _ = engine.report_task(*run, report).await;
            } else {
                let _ = engine.update(*run, NewChange::new(State::Faulted)).await;
            }
        }
        match ends {
            Some(polls) => {
                polled(polls, servers[server].timer.tick(clock.now())).await;
                let new = World::new(clock, Arc::clone(&store));
                ended.push(std::mem::replace(&mut servers[server], new).engine);
            }
            None => servers[server].tick().await,
        }
        gather(&servers[0], &mut seen).await;
    }
    // One server is left; it repairs what is to be repaired.
    clock.set(since(clock.now()) + 1);
    let mut last = World::new(clock, Arc::clone(&store));
    last.tick().await;
    gather(&last, &mut seen).await;
    for name in NAMES {
        let times: Vec<_> = seen
            .iter()
            .filter(|((of, _), _)| of == name)
            .flat_map(|(_, (planned, until))| (*planned..=*until).step_by(EVERY as usize))
            .collect();
        let due = since(clock.now()) / EVERY as i64;
        let expected: Vec<_> = (1..=due).map(|number| number * EVERY as i64).collect();
        assert_eq!(times, expected, "{name}");
    }
    let mut made = last.roots().await;
    made.sort();
    let mut started = Vec::new();
    for schedule in last.schedules().await {
        let statistics = &schedule.statistics;
        started.push(statistics.runs);
        let ended = statistics.succeeded + statistics.failed;
        let open = schedule.running.len() as u64;
        assert_eq!(statistics.runs, ended + open, "each started run has one end");
        for run in schedule.running {
            assert!(made.contains(&run), "an open run has a tree");
        }
    }
    assert_eq!(made.len() as u64, started.iter().sum::<u64>(), "each started run is one tree");
    for engine in ended {
        engine.close().await;
    }
}

/// Notes the firings, by name and number, with their first and last planned times.
async fn gather(world: &World, seen: &mut BTreeMap<(String, u64), (i64, i64)>) {
    for name in NAMES {
        for firing in world.scheduler.firings(name).await.unwrap() {
            let times = (since(firing.planned), since(firing.until.unwrap_or(firing.planned)));
            let known = seen.insert((name.to_owned(), firing.number), times);
            assert!(known.is_none_or(|known| known == times), "a firing does not change");
        }
    }
}

/// Three servers look at the same schedules in the same instant.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_are_due_at_once_fire_once() {
    const SCHEDULES: usize = 200;
    const ROUNDS: i64 = 3;
    let clock = clock!();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut servers: Vec<_> = (0..3).map(|_| World::new(clock, Arc::clone(&store))).collect();
    for number in 0..SCHEDULES {
        servers[0].create(&format!("s{number}"), every(1_000, ANY)).await;
    }
    for round in 1..=ROUNDS {
        clock.set(round * 1_000);
        let ticks = servers.into_iter().map(|mut server| {
            tokio::spawn(async move {
                server.timer.tick(clock.now()).await;
                server
            })
        });
        servers = Vec::new();
        for tick in ticks.collect::<Vec<_>>() {
            servers.push(tick.await.unwrap());
        }
    }
    let mut runs = Vec::new();
    for schedule in servers[0].schedules().await {
        let firings = servers[1].scheduler.firings(&schedule.name).await.unwrap();
        let planned: Vec<_> = firings.iter().rev().map(|firing| since(firing.planned)).collect();
        assert_eq!(planned, (1..=ROUNDS).map(|round| round * 1_000).collect::<Vec<_>>());
        runs.extend(firings.iter().filter_map(jobtracker_model::schedule::Firing::run));
    }
    runs.sort();
    let mut roots = servers[2].roots().await;
    roots.sort();
    assert_eq!(roots, runs);
    assert_eq!(roots.len(), SCHEDULES * ROUNDS as usize);
}
