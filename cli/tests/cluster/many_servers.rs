//! Several servers on one tree at once.

use std::time::Duration;

use crate::{
    cassandra::{Nodes, fresh_root, seed, times},
    fleet::Fleet,
    load::{Load, Plan},
};

/// All servers take part in every tree, so all clients contend for it.
async fn hammered_by(servers: usize, keyspace: &str, rounds: usize) {
    let nodes = Nodes::take().await;
    let fleet = Fleet::start(servers, nodes.settings(keyspace));
    let patience = Duration::from_secs(15);
    let plan = Plan { root: fresh_root(), seed: seed(), clients: 12, patience };
    let mut load = Load::new(fleet.urls(), plan).await;
    for _ in 0..rounds * times() {
        load.round(20, async |_| ()).await;
    }
    load.finish().await.check(&format!("{servers} servers"));
    fleet.agree_on(plan.root).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_hammer_one_tree() {
    hammered_by(2, "cluster_two", 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn three_servers_hammer_one_tree() {
    hammered_by(3, "cluster_three", 6).await;
}
