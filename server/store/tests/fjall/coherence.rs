//! A later read is at least as new as an earlier one, whether it comes from memory or from the
//! disk.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jobtracker_model::State;
use jobtracker_store::{
    FollowUp, FollowUpKey, Health, Loaded, Store, Trees, Wanted,
    fjall::{FjallOptions, FjallStore},
};

use crate::forest::{Tree, id};

const ROOT: u64 = 1;
const CHILDREN: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn time_does_not_run_backwards() {
    // All rows in the caches, some of them, none of them.
    for node_cache_bytes in [1 << 20, 6 * 1024, 1] {
        watch(node_cache_bytes).await;
    }
}

async fn watch(node_cache_bytes: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = FjallOptions::new(directory.path());
    options.node_cache_bytes = node_cache_bytes;
    options.write_buffer_bytes = 16 * 1024;
    let store: Arc<dyn Store> = Arc::new(FjallStore::open(&options).unwrap());
    let mut tree = Tree::with_children(ROOT, ROOT + 1..=ROOT + CHILDREN);
    tree.watch(0);
    tree.commit_to(&*store).await.unwrap();

    let (over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut readers = Vec::new();
    for number in 0..4 {
        let (store, over, reads) = (Arc::clone(&store), Arc::clone(&over), Arc::clone(&reads));
        readers.push(tokio::spawn(async move {
            let mut child = number;
            while !over.load(Ordering::Relaxed) {
                child = child % CHILDREN + 1;
                match number {
                    0 => child_then_root(&*store, ROOT + child).await,
                    1 => root_then_child(&*store, ROOT + child).await,
                    _ => together(&*store, ROOT + child).await,
                }
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    // Every commit changes each child and adds one line to the root's log: the number of changes of
    // any child is always that of the root's lines and the creation.
    let mut commits = 0;
    while (commits < 60 || reads.load(Ordering::Relaxed) < 300)
        && !readers.iter().any(tokio::task::JoinHandle::is_finished)
    {
        let state = [State::Running, State::Warning][commits % 2];
        for child in 1..=CHILDREN {
            tree.report(id(ROOT + child), state);
        }
        tree.log("");
        commits += 1;
        tree.watch(commits as u32);
        tree.commit_to(&*store).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    tree.compare(&*store).await.unwrap();
    store.close().await;
}

async fn changes(store: &dyn Store, child: u64) -> u32 {
    store.get_job(id(child)).await.unwrap().unwrap().status.changes
}

async fn lines(store: &dyn Store) -> u32 {
    store.get_job(id(ROOT)).await.unwrap().unwrap().status.log_lines
}

async fn child_then_root(store: &dyn Store, child: u64) {
    let (child, root) = (changes(store, child).await, lines(store).await + 1);
    assert!(child <= root, "the child was at {child}, then its parent at {root}");
}

async fn root_then_child(store: &dyn Store, child: u64) {
    let (root, child) = (lines(store).await + 1, changes(store, child).await);
    assert!(root <= child, "the parent was at {root}, then its child at {child}");
}

/// Rows of one answer, of which some come from memory and others from the disk.
async fn together(store: &dyn Store, child: u64) {
    let behind = (child..child + 10).map(|child| id(ROOT + child % CHILDREN + 1));
    let wanted = Wanted { paths: behind.collect(), ..Wanted::default() };
    let loaded = store.load(wanted).await.unwrap();
    let root = loaded.nodes[&id(ROOT)].status.log_lines + 1;
    assert_eq!(loaded.versions[&id(ROOT)], u64::from(root), "the version of the root");
    assert_eq!(watched(&loaded) + 1, root, "what is watched at the root");
    for (child, node) in loaded.nodes {
        if child != id(ROOT) {
            assert_eq!(node.status.changes, root, "{child} and its parent in one answer");
        }
    }
}

fn watched(loaded: &Loaded) -> u32 {
    match &loaded.follow_ups[&(id(ROOT), FollowUpKey::Watch)] {
        FollowUp::Watch(watch) => watch.deliveries,
        other => panic!("{other:?}"),
    }
}

/// Every step in a tree reads the watch of its root, so that has to be as near as the root.
#[tokio::test]
async fn what_is_watched_at_a_busy_tree_is_read_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&FjallOptions::new(directory.path())).unwrap();
    let mut tree = Tree::with_children(ROOT, [ROOT + 1]);
    let cold = || {
        let gauges = store.gauges();
        gauges.into_iter().find(|(name, ..)| *name == "store_answered_cold").unwrap().2
    };
    for deliveries in 0..3 {
        tree.watch(deliveries);
        tree.commit_to(&store).await.unwrap();
        let before = cold();
        let paths = [id(ROOT + 1)].into();
        let loaded = store.load(Wanted { paths, ..Wanted::default() }).await.unwrap();
        assert_eq!((watched(&loaded), cold()), (deliveries, before));
    }
    store.close().await;
}
