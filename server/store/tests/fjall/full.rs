//! Disks that are full, and disks that are gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jobtracker_model::State;
use jobtracker_store::{
    Error, Health, Jobs, Servers,
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
    // An answer is good for a while, so the first ones may still get through.
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

/// The engine's own threads cannot write their files any more, and it cannot be opened again.
#[tokio::test]
async fn a_disk_that_is_gone_ends_the_store_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = FjallOptions::new(directory.path());
    options.write_buffer_bytes = 4 * 1024;
    options.patience = Duration::from_millis(300);
    let store = FjallStore::open(&options).unwrap();
    let mut tree = Tree::with_children(1, 2..50);
    tree.commit_to(&store).await.unwrap();
    let (db, gone) = (directory.path().join("db"), directory.path().join("gone"));
    std::fs::rename(&db, &gone).unwrap();
    let mut before = tree.clone();
    let error = loop {
        tree.log(&"x".repeat(4000));
        match tree.commit_to(&store).await {
            Ok(()) => before = tree.clone(),
            Err(error) => break error,
        }
    };
    let ends = |error: &Error| matches!(error, Error::Unavailable(_) | Error::OutcomeUnknown(_));
    assert!(ends(&error), "{error}");
    while store.is_alive() {
        let error = store.check().await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(what) if what.contains("anew")), "{error}");
        assert!(matches!(store.reserve_ids(1).await, Err(Error::Unavailable(_))));
        tokio::task::yield_now().await;
    }
    std::fs::rename(gone, db).unwrap();
    while store.check().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It has to prove itself first.
    assert!(!store.is_alive());
    if tree.compare(&store).await.is_err() {
        tree = before;
    }
    tree.compare(&store).await.unwrap();
    tree.log("goes on");
    tree.commit_to(&store).await.unwrap();
    store.close().await;
    tree.compare(&disk::open(directory.path()).unwrap()).await.unwrap();
}

/// A store that cannot be opened again can be closed.
#[tokio::test]
async fn a_store_is_closed_while_it_is_out_of_service() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open_small(directory.path()).unwrap();
    let mut tree = Tree::with_children(1, 2..50);
    tree.commit_to(&store).await.unwrap();
    std::fs::rename(directory.path().join("db"), directory.path().join("gone")).unwrap();
    while store.check().await.is_ok() {
        tree.log(&"x".repeat(4000));
        tree.commit_to(&store).await.ok();
    }
    store.close().await;
    assert!(matches!(store.check().await, Err(Error::Unavailable(_))));
    assert!(matches!(store.get_attachment(id(1), "a").await, Err(Error::Unavailable(_))));
}
