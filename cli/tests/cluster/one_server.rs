//! One server: every history is linearizable.

use std::{sync::Arc, time::Duration};

use jobtracker_client::{JobId, State};
use jobtracker_server::{Config, Server};
use jobtracker_store::memory::MemoryStore;

use crate::{
    fleet::Fleet,
    linear::{self, Failure, Sight, What},
    load::{History, Load, Plan},
    process::embedded,
};

fn plan(seed: u64, clients: usize) -> Plan {
    Plan { root: JobId::MIN, seed, clients, patience: Duration::from_secs(10) }
}

/// Records this many rounds of ten operations, after which all clients meet.
async fn record(servers: Vec<String>, plan: Plan, rounds: usize) -> History {
    let mut load = Load::new(servers, plan).await;
    for _ in 0..rounds {
        load.round(10, async |_| ()).await;
    }
    load.finish().await
}

/// The indices of the reads of the root.
fn looks(history: &History) -> impl Iterator<Item = (usize, u64)> {
    history.operations.iter().enumerate().filter_map(|(place, operation)| match &operation.what {
        What::Look(seen) => match seen[..] {
            [(job, Sight::Whole(numbers))] if job == history.root => {
                Some((place, numbers.subtree[0]))
            }
            _ => None,
        },
        _ => None,
    })
}

fn assert_refused(history: &History, what: &str) {
    let checked = linear::check(history.root, &history.operations);
    assert!(matches!(checked, Err(Failure::NotLinearizable(_))), "{what}: {checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_operations_in_memory() {
    let mut config = Config::defaults();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(&config, Arc::new(MemoryStore::new())).unwrap();
    let mut history = record(vec![format!("http://{}", server.addr())], plan(1, 16), 65).await;
    assert!(history.operations.len() >= 10_000);
    history.check("one server, memory");
    server.stop().await;

    // With any one answer altered it is refused: a read that saw a state of much later,
    let seen: Vec<_> = looks(&history).collect();
    let (early, late) = (seen[seen.len() / 3].0, seen[seen.len() * 2 / 3].0);
    let [before, after] = [early, late].map(|place| history.operations[place].what.clone());
    history.operations[early].what = after.clone();
    assert_refused(&history, "a read of the future");
    // or of long before;
    history.operations[early].what = before.clone();
    history.operations[late].what = before;
    assert_refused(&history, "a stale read");
    history.operations[late].what = after;
    // and an update that has led to another state than the answer says.
    let told =
        history.operations.iter_mut().skip(5_000).find_map(|operation| match &mut operation.what {
            What::Update { state: State::Running, visible, .. } => Some(visible),
            _ => None,
        });
    *told.unwrap() = Some(State::Warning);
    assert_refused(&history, "a wrong answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_on_the_embedded_store() {
    let data = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::start(1, embedded(data.path()));
    let mut load = Load::new(fleet.urls(), plan(2, 16)).await;
    for _ in 0..3 {
        load.round(60, async |round| {
            round.acknowledges(100).await;
            fleet.kill(0);
            fleet.restart(0);
            round.acknowledges(100).await;
        })
        .await;
    }
    load.finish().await.check("one server, killed");
}
