//! Disks that are full, and disks that are gone.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jobtracker_model::State;
use jobtracker_store::{
    Error, Store,
    fjall::{FjallOptions, FjallStore},
};

use crate::{
    disk,
    forest::{Tree, id},
};

#[tokio::test]
async fn a_full_disk_stops_commits_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let mut options = FjallOptions::new(directory.path());
    let probed = Arc::clone(&free);
    options.free_space = Arc::new(move |_| Ok(probed.load(Ordering::Relaxed)));
    let store = FjallStore::open(&options).unwrap();
    let mut tree = Tree::with_children(1, 2..5);
    tree.commit_to(&store).await.unwrap();

    free.store(options.min_free_bytes, Ordering::Relaxed);
    // An answer is good for a moment, so the first ones may still get through.
    let refused = loop {
        let before = tree.clone();
        tree.report(id(2), State::Running);
        match tree.commit_to(&store).await {
            Ok(()) => {}
            Err(error) => {
                tree = before;
                break error;
            }
        }
    };
    assert!(matches!(&refused, Error::Full(_)), "{refused}");
    assert!(matches!(store.reserve_ids(1).await, Err(Error::Full(_))));
    assert!(matches!(store.check().await, Err(Error::Full(_))));
    tree.compare(&store).await.unwrap();

    free.store(u64::MAX, Ordering::Relaxed);
    store.check().await.unwrap();
    tree.report(id(3), State::Running);
    tree.commit_to(&store).await.unwrap();
    tree.compare(&store).await.unwrap();
    drop(store);
    tree.compare(&disk::open(directory.path()).unwrap()).await.unwrap();
}

/// The engine's own threads cannot write their files any more.
#[tokio::test]
async fn a_disk_that_is_gone_stops_commits_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open_small(directory.path()).unwrap();
    let mut tree = Tree::with_children(1, 2..50);
    tree.commit_to(&store).await.unwrap();
    std::fs::rename(directory.path().join("db"), directory.path().join("gone")).unwrap();
    let error = loop {
        tree.log(&"x".repeat(4000));
        if let Err(error) = tree.commit_to(&store).await {
            break error;
        }
    };
    let ends = |error: &Error| matches!(error, Error::Unavailable(_) | Error::OutcomeUnknown(_));
    assert!(ends(&error), "{error}");
    let error = store.check().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(what) if what.contains("restart")), "{error}");
    assert!(store.reserve_ids(1).await.is_err());
    store.close().await;
}
