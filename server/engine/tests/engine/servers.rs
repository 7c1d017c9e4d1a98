//! Two engines on one store, as two servers on one cluster: each finds the tree moved by the other,
//! and nothing is lost or doubled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use jobtracker_engine::Engine;
use jobtracker_model::{NewChange, State, StateSet};
use jobtracker_store::{Jobs, Store, memory::MemoryStore};

use crate::{
    gate::Gate,
    harness::{LONG, id, job, options},
};

const CLIENTS: u64 = 8;
const CHILDREN: u64 = 50;

async fn client(engine: Engine, client: u64) {
    for number in 0..CHILDREN {
        let child = 1000 * (client + 1) + number;
        assert!(engine.create(job(child, Some(1))).await.unwrap().created);
        let state = if number % 5 == 0 { State::Faulted } else { State::RanToCompletion };
        let updated = engine.update(id(child), NewChange::new(state)).await.unwrap();
        assert!(updated.applied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_tree() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engines = [(); 2].map(|()| Engine::start(Arc::clone(&store), options()));
    engines[0].create(job(1, None)).await.unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(engines[number as usize % 2].clone(), number)))
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let root = store.get_job(id(1)).await.unwrap().unwrap().status;
    let all = CLIENTS * CHILDREN;
    assert_eq!((root.children.successful, root.children.failed), (all * 4 / 5, all / 5));
    assert_eq!((root.subtree.total, root.subtree.failed), (all, all / 5));
    assert_eq!(root.children.pending, 0);
}

/// Engines that reach one store with delays of these milliseconds.
fn far<const N: usize>(store: &Arc<MemoryStore>, ways: [u64; N]) -> [Engine; N] {
    ways.map(|way| Engine::start(Gate::far(store, Duration::from_millis(way)), options()))
}

/// Callers of one server add children to one job until all servers together have added `enough`.
async fn add_children(engine: Engine, ids: Arc<AtomicU64>, enough: u64) -> u64 {
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (engine, ids) = (engine.clone(), Arc::clone(&ids));
            tokio::spawn(async move {
                let mut added = 0;
                loop {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    if id > enough {
                        return added;
                    }
                    assert!(engine.create(job(id, Some(1))).await.unwrap().created);
                    added += 1;
                }
            })
        })
        .collect();
    let mut added = 0;
    for caller in callers {
        added += caller.await.unwrap();
    }
    added
}

/// The server with the shorter way to the store wins every race, unless it leaves the other a turn.
/// No caller gets a contention error, which shows that no operation was computed too often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_starves_on_a_tree_that_both_want() {
    const ENOUGH: u64 = 20_000;
    for (ways, least) in [([1, 1], ENOUGH / 4), ([1, 4], ENOUGH / 20)] {
        let store = Arc::new(MemoryStore::new());
        let engines = far(&store, ways);
        engines[0].create(job(1, None)).await.unwrap();
        let ids = Arc::new(AtomicU64::new(2));
        let [one, other] =
            engines.map(|engine| tokio::spawn(add_children(engine, Arc::clone(&ids), ENOUGH + 1)));
        let added = [one.await.unwrap(), other.await.unwrap()];
        assert_eq!(added.iter().sum::<u64>(), ENOUGH);
        assert!(added.iter().all(|added| *added >= least), "{ways:?}: {added:?}");
        let root = store.get_job(id(1)).await.unwrap().unwrap().status;
        assert_eq!(root.subtree.total, ENOUGH);
    }
}

#[tokio::test]
async fn a_tree_whose_commit_takes_long_holds_no_other_one_up() {
    const TREES: usize = 5;
    let gate = Gate::shared();
    let engine = Engine::start(gate.store(), options());
    let create = |number| {
        let engine = engine.clone();
        async move { engine.create(job(number, None)).await.unwrap() }
    };
    let mut created: FuturesUnordered<_> = (1..=TREES as u64).map(create).collect();
    // All of them are in the queue before the first group has loaded its rows.
    assert!(created.next().now_or_never().is_none());
    gate.loads.add_permits(TREES);
    for _ in 1..TREES {
        gate.permits.add_permits(1);
        let created = tokio::time::timeout(LONG, created.next()).await;
        assert!(created.expect("one can go on").unwrap().created);
    }
    assert!(created.next().now_or_never().is_none());
    gate.open();
    assert!(created.next().await.unwrap().created);
}

#[tokio::test]
async fn a_wait_ends_with_a_step_that_came_by_another_server() {
    let store = Arc::new(MemoryStore::new());
    let [here, there] = far(&store, [0, 0]);
    here.create(job(1, None)).await.unwrap();
    let wait = here.wait(id(1), StateSet::FINISHED, LONG);
    // When its time is over, a wait reads the state once more.
    let wait = tokio::time::timeout(LONG / 2, wait);
    let update = there.update(id(1), NewChange::new(State::RanToCompletion));
    let (waited, updated) = tokio::join!(wait, update);
    assert!(updated.unwrap().applied);
    let waited = waited.unwrap().unwrap();
    assert_eq!((waited.reached, waited.state), (true, State::RanToCompletion));
}
