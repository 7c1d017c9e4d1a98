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
/// The time from one firing of a schedule to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Only a failure takes longer to settle.
const PATIENCE: Duration = Duration::from_secs(240);

fn with_leases(mut settings: Settings) -> Settings {
    settings.push(("workers.lease_ms", LEASE_MS.to_string()));
    settings
}

/// How much is planned.
struct Size {
    schedules: u64,
    before: Duration,
    every: Duration,
    lasting: Duration,
}

impl Size {
    /// `JOBTRACKER_LONG` has that many times more schedules, each of which fires as often, in as
    /// many times longer: a second has as much to do.
    fn of(schedules: u64, seconds: u64) -> Self {
        let times = u32::try_from(times()).unwrap();
        Self {
            schedules: schedules * u64::from(times),
            before: BEFORE * times,
            every: EVERY * times,
            lasting: Duration::from_secs(seconds) * times,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_fires_once_on_the_embedded_store() {
    let data = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(1, with_leases(embedded(data.path())));
    fire_and_kill(fleet, None, &Size::of(100, 12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_fires_once_on_three_servers() {
    let nodes = Nodes::take().await;
    let fleet = Fleet::start(3, with_leases(nodes.settings("cluster_planned")));
    fire_and_kill(fleet, None, &Size::of(40, 12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn each_time_fires_once_while_nodes_are_killed() {
    let nodes = Nodes::take_three().await;
    let fleet = Fleet::start(3, with_leases(nodes.settings("cluster_planned")));
    fire_and_kill(fleet, Some(&nodes), &Size::of(40, 20)).await;
}

async fn fire_and_kill(mut fleet: Fleet, nodes: Option<&Nodes>, size: &Size) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let (fence, urls) = (Fence::start().await, fleet.urls());
    let start = |number: usize| WorkerProcess::start(&urls[number % urls.len()], &fence.address);
    let mut workers: Vec<_> = (0..WORKERS).map(start).collect();
    let client = JobTrackerClient::new(&urls[0]).unwrap();
    let prefix = format!("p{:08x}", random.random::<u32>());
    let until = Instant::now() + size.before + size.lasting;
    let (begin, all) = define(&client, &prefix, size).await;
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
    println!("{findings:?}, {begun} attempts");
}

/// Creates all schedules; answers when the first one fires.
async fn define(client: &JobTrackerClient, prefix: &str, size: &Size) -> (Timestamp, Vec<Planned>) {
    // The time of the servers.
    let clock = NewSchedule::new(format!("{prefix}-clock"), ScheduleDefinition::new([]));
    let begin = client.create_schedule(&clock).await.unwrap().create_time.after(size.before);
    let all = plan::plan(prefix, begin, size);
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
