//! Two engines on one store, as two servers on one cluster: each finds the tree moved by the other,
//! and nothing is lost or doubled.

use std::sync::Arc;

use jobtracker_engine::Engine;
use jobtracker_model::{NewChange, State};
use jobtracker_store::{Store, memory::MemoryStore};

use crate::harness::{id, job, options};

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
