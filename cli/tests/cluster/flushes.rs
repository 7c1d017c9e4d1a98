//! A context sends large and small trees while the server that receives them, or a node of the
//! database, is killed: each tree is complete or absent, and there once.

use std::{sync::Arc, time::Duration};

use jobtracker_client::{JobId, JobTrackerClient};
use jobtracker_context::JobTrackerContext;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;

use crate::{
    broad_tree::{is_whole, record},
    cassandra::{Nodes, fresh_root, seed, times},
    fleet::Fleet,
};

/// The trees of one flush: the begin of their ids, and their children.
const TREES: [(u64, u64); 3] = [(0, 10_000), (100_000, 300), (200_000, 10)];

/// Whether a tree exists. If it does, it is complete.
async fn is_there(client: &JobTrackerClient, root: u64, children: u64) -> bool {
    let found = client.get(JobId::new(root).unwrap()).await.unwrap().is_some();
    assert!(!found || is_whole(client, root, children).await);
    found
}

/// A reader that polls for the trees until all exist.
fn watch(server: &str, first: u64) -> JoinHandle<()> {
    let client = JobTrackerClient::new(server).unwrap();
    tokio::spawn(async move {
        for (begin, children) in TREES {
            while !is_there(&client, first + begin, children).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
}

async fn recorded(server: &str, first: u64) -> JobTrackerContext {
    let context = JobTrackerContext::new(Arc::new(JobTrackerClient::new(server).unwrap())).unwrap();
    for (begin, children) in TREES {
        record(&context, first + begin, children).await;
    }
    context
}

/// Flushes while something happens; then flushes the rest, after more has happened. At the end the
/// other server has all trees.
async fn flush(
    [to, other]: [&str; 2],
    first: u64,
    breaks: impl AsyncFnOnce(),
    mends: impl AsyncFnOnce(),
) {
    let context = recorded(to, first).await;
    let watcher = watch(other, first);
    let flushing = {
        let context = context.clone();
        tokio::spawn(async move { context.flush().await })
    };
    breaks().await;
    let was_acknowledged = flushing.is_finished();
    mends().await;
    let early = flushing.await.unwrap();
    let client = JobTrackerClient::new(other).unwrap();
    if was_acknowledged && early.is_ok() {
        for (begin, children) in TREES {
            assert!(is_there(&client, first + begin, children).await);
        }
    }
    // The context has kept its records, and sends them under the same name.
    while let Err(error) = context.flush().await {
        assert!(error.is_retryable(), "{error:?}");
    }
    for (begin, children) in TREES {
        assert!(is_there(&client, first + begin, children).await);
    }
    watcher.await.unwrap();
}

async fn pause(random: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn the_server_is_killed() {
    let nodes = Nodes::take().await;
    let mut fleet = Fleet::start(2, nodes.settings("cluster_flush"));
    let urls = fleet.urls();
    let mut random = StdRng::seed_from_u64(seed());
    let first = fresh_root().get();
    for round in 0..4 * times() as u64 {
        let fleet = std::cell::RefCell::new(&mut fleet);
        let breaks = async || {
            pause(&mut random).await;
            fleet.borrow_mut().kill(0);
        };
        let mends = async || fleet.borrow_mut().restart(0);
        flush([&urls[0], &urls[1]], first + round * 1_000_000, breaks, mends).await;
    }
    println!("flushes while the server is killed: {} trees, whole", 4 * times() * TREES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn a_node_is_killed() {
    let nodes = Nodes::take_three().await;
    let fleet = Fleet::start(2, nodes.settings("cluster_flush"));
    let urls = fleet.urls();
    let mut random = StdRng::seed_from_u64(seed());
    let first = fresh_root().get();
    for round in 0..2 * times() as u64 {
        let victim = random.random_range(1..=3);
        let breaks = async || {
            pause(&mut random).await;
            nodes.kill(victim);
        };
        flush([&urls[0], &urls[1]], first + round * 1_000_000, breaks, async || ()).await;
        nodes.start(victim);
    }
    println!("flushes while a node is killed: {} trees, whole", 2 * times() * TREES.len());
}
