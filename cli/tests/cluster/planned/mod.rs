//! Schedules fire and workers run what that makes, while servers, workers and nodes are killed:
//! each planned time has one firing, each started run one end, and no task two attempts at once.

mod fence;
mod findings;
mod plan;
mod worker;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jobtracker_client::{
    JobTrackerClient, Timestamp,
    schedule::{NewSchedule, ScheduleDefinition},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    cassandra::{Nodes, seed, times},
    fleet::Fleet,
    process::{Settings, embedded},
};
use fence::Fence;
use plan::Planned;
use worker::WorkerProcess;

/// Long enough that a machine with much to do keeps the leases of workers that live.
const LEASE_MS: u64 = 4_000;
const WORKERS: usize = 3;
/// The time in which all schedules are created, before the first one fires.
const BEFORE: Duration = Duration::from_secs(6);
/// Only a failure takes longer to settle.
const PATIENCE: Duration = Duration::from_secs(240);

fn with_leases(mut settings: Settings) -> Settings {
    settings.push(("workers.lease_ms", LEASE_MS.to_string()));
    settings
}

/// How much is planned.
struct Size {
    schedules: u64,
    lasting: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_fires_once_on_the_embedded_store() {
    let data = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(1, with_leases(embedded(data.path())));
    let size = Size { schedules: 100, lasting: Duration::from_secs(12) };
    fire_and_kill(fleet, None, size).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_fires_once_on_three_servers() {
    let nodes = Nodes::take().await;
    let fleet = Fleet::start(3, with_leases(nodes.settings("cluster_planned")));
    let size = Size { schedules: 40, lasting: Duration::from_secs(12) };
    fire_and_kill(fleet, None, size).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn each_time_fires_once_while_nodes_are_killed() {
    let nodes = Nodes::take_three().await;
    let fleet = Fleet::start(3, with_leases(nodes.settings("cluster_planned")));
    let size = Size { schedules: 40, lasting: Duration::from_secs(20) };
    fire_and_kill(fleet, Some(&nodes), size).await;
}

/// `JOBTRACKER_LONG` makes more rounds, each with more schedules.
async fn fire_and_kill(mut fleet: Fleet, nodes: Option<&Nodes>, size: Size) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (fence, urls) = (Fence::start().await, fleet.urls());
    let start = |number: usize| WorkerProcess::start(&urls[number % urls.len()], &fence.address);
    let mut workers: Vec<_> = (0..WORKERS).map(start).collect();
    let client = JobTrackerClient::new(&urls[0]).unwrap();
    for round in 0..times() {
        let prefix = format!("p{:08x}-{round}", random.random::<u32>());
        let (begin, all) = define(&client, &prefix, &size).await;
        let until = Instant::now() + BEFORE + size.lasting;
        while Instant::now() < until {
            pause(&mut random, 1_200).await;
            match random.random_range(0..5) {
                0 | 1 => {
                    let server = random.random_range(0..urls.len());
                    fleet.kill(server);
                    pause(&mut random, 2_500).await;
                    fleet.restart(server);
                }
                2 if let Some(nodes) = nodes => {
                    let node = random.random_range(1..=3);
                    nodes.kill(node);
                    pause(&mut random, 2_500).await;
                    nodes.start(node);
                }
                _ => {
                    let number = random.random_range(0..WORKERS);
                    workers[number] = start(number);
                }
            }
        }
        let settling = findings::settled(&client, &all);
        tokio::time::timeout(PATIENCE, settling).await.expect("everything ends");
        let attempts = fence.attempts.lock().unwrap().clone();
        let begun = attempts.begun;
        let findings = findings::check(&client, &prefix, begin, &all, &attempts).await;
        println!("{findings:?}, {begun} attempts so far");
    }
}

/// Creates all schedules; answers when the first one fires.
async fn define(client: &JobTrackerClient, prefix: &str, size: &Size) -> (Timestamp, Vec<Planned>) {
    // The time of the servers.
    let clock = NewSchedule::new(format!("{prefix}-clock"), ScheduleDefinition::new([]));
    let begin = client.create_schedule(&clock).await.unwrap().create_time.after(BEFORE);
    let all = plan::plan(prefix, size.schedules * times() as u64, begin, size.lasting);
    let create = |planned: &Planned| {
        let schedule = planned.schedule.clone();
        async move {
            let created = client.create_schedule(&schedule).await.unwrap();
            assert!(created.create_time < begin, "the machine is too slow for this test");
        }
    };
    stream::iter(all.iter().map(create)).for_each_concurrent(16, |creating| creating).await;
    (begin, all)
}

async fn pause(random: &mut StdRng, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..most_ms))).await;
}
