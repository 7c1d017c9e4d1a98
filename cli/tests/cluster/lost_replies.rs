//! Between the servers and the database, replies and requests are lost, connections break, and
//! requests arrive after their senders gave up: each commit is applied once or not at all.

use std::time::{Duration, Instant};

use crate::{
    cassandra::{Nodes, fresh_root, seed, times},
    fleet::Fleet,
    load::{Load, Plan},
    proxies::{Fault, Proxies},
};

/// How long the servers wait for an answer of the database.
const PATIENCE: Duration = Duration::from_millis(1000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn replies_requests_and_connections_are_lost() {
    let nodes = Nodes::take().await;
    let mut proxies = Proxies::before(&nodes).await;
    let mut settings = nodes.settings("cluster_lost");
    settings.retain(|(key, _)| *key != "store.scylla.nodes");
    settings.extend([
        ("store.scylla.nodes", proxies.addresses.join(",")),
        ("store.scylla.request_timeout_ms", PATIENCE.as_millis().to_string()),
    ]);
    let fleet = Fleet::start(2, settings);
    let patience = Duration::from_secs(30);
    let plan = Plan { root: fresh_root(), seed: seed(), clients: 12, patience };
    let mut load = Load::new(fleet.urls(), plan).await;
    let faults = [Fault::ReplyLost, Fault::RequestLost, Fault::Cut, Fault::Late(PATIENCE * 2)];
    for _ in 0..times() {
        for fault in faults {
            let mut hits = proxies.let_happen(fault, 25);
            let begin = Instant::now();
            load.round(8, async |_| ()).await;
            proxies.calm_down();
            // Delayed requests may still arrive while others go on.
            load.round(3, async |_| ()).await;
            let mut hit = 0;
            while hits.try_recv().is_ok() {
                hit += 1;
            }
            println!("{fault:?}: {hit} times in {:?}", begin.elapsed());
            assert!(hit > 0, "{fault:?} has never happened");
        }
    }
    load.finish().await.check("replies, requests and connections lost");
    drop(fleet);
    proxies.finish().await;
}
