//! Servers and nodes that are killed, or suspended, while clients write. The others go on at once:
//! their writes are acknowledged before anything is started again.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    cassandra::{Nodes, fresh_root, seed, times},
    fleet::Fleet,
    load::{Load, Plan, Round},
};

/// Operations of one client in a round that is not stopped earlier.
const MANY: usize = 40_000;

fn plan(seed: u64) -> Plan {
    // Clients leave a suspended server soon.
    Plan { root: fresh_root(), seed, clients: 12, patience: Duration::from_secs(3) }
}

/// The other servers go on: with one write, and with as many as before.
async fn go_on(round: &Round, why: &str) {
    let first = round.acknowledges(1).await;
    let more = round.acknowledges(100).await;
    println!("after {why}: 1 write in {first:?}, 100 more in {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn servers_are_killed_and_paused() {
    let nodes = Nodes::take().await;
    let mut fleet = Fleet::start(3, nodes.settings("cluster_killed"));
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let plan = plan(seed);
    let mut load = Load::new(fleet.urls(), plan).await;
    for number in 0..4 * times() {
        let victim = random.random_range(0..3);
        let before = random.random_range(20..100);
        load.round(MANY, async |round| {
            round.acknowledges(before).await;
            if number % 3 == 2 {
                fleet.pause(victim);
                go_on(round, "a server stands still").await;
                fleet.resume(victim);
            } else {
                fleet.kill(victim);
                go_on(round, "a server was killed").await;
                fleet.restart(victim);
            }
            round.acknowledges(30).await;
            round.stop();
        })
        .await;
    }
    load.finish().await.check("servers killed and paused");
    fleet.agree_on(plan.root).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn nodes_are_killed_and_paused() {
    let nodes = Nodes::take_three().await;
    let fleet = Fleet::start(2, nodes.settings("cluster_nodes"));
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let plan = plan(seed);
    let mut load = Load::new(fleet.urls(), plan).await;
    for number in 0..2 * times() {
        let victim = random.random_range(1..=3);
        load.round(MANY, async |round| {
            round.acknowledges(50).await;
            if number % 2 == 1 {
                nodes.pause(victim);
                go_on(round, "a node stands still").await;
                nodes.resume(victim);
            } else {
                nodes.kill(victim);
                go_on(round, "a node was killed").await;
                nodes.start(victim);
            }
            round.acknowledges(50).await;
            round.stop();
        })
        .await;
    }
    load.finish().await.check("nodes killed and paused");
    fleet.agree_on(plan.root).await;
}
