//! Whole trees: large and small ones, seen by readers, sent twice.

use std::{sync::Arc, time::Duration};

use jobtracker_engine::{Begun, Engine, Error, Options};
use jobtracker_model::{
    NewChange, State, StateSet, Subtree, Timestamp,
    upload::{Item, Record, UploadId},
};
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};

use super::recording::{Recording, send};
use crate::harness::{LONG, id, job, memory, options};

const T: Timestamp = Timestamp::MIN;

/// A root with this many children, each of which has run and ended well.
pub fn wide(root: u64, children: u64, new_root: bool) -> Recording {
    let mut recording = Recording::default();
    if new_root {
        recording.create(id(root), None, id(root), T);
    }
    for child in root + 1..=root + children {
        recording.create(id(child), Some(id(root)), id(root), T);
        recording.update(id(child), id(root), State::Running, T);
        recording.update(id(child), id(root), State::RanToCompletion, T);
    }
    recording
}

async fn subtree(store: &dyn Store, of: u64) -> Option<Subtree> {
    store.get_job(id(of)).await.unwrap().map(|row| row.status.subtree)
}

/// Reads again and again, until told to stop, and asserts that it sees all or nothing.
async fn watch(
    store: Arc<dyn Store>,
    root: u64,
    before: u64,
    after: u64,
    stop: Arc<tokio::sync::Notify>,
) {
    let poll = async {
        loop {
            let seen = subtree(&*store, root).await.map_or(0, |numbers| numbers.total);
            assert!(seen == before || seen == after, "a part of the tree is visible: {seen}");
            let last = store.get_states(vec![id(root + after)]).await.unwrap()[0];
            assert!(matches!(last, State::WaitingForActivation | State::RanToCompletion));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = poll => {}, () = stop.notified() => {} }
}

async fn a_large_tree_on(store: Arc<dyn Store>) {
    let engine = Engine::start(Arc::clone(&store), options());
    for (root, new_root) in [(1_000_000, true), (2_000_000, false)] {
        if !new_root {
            engine.create(job(root, None)).await.unwrap();
        }
        let stop = Arc::new(tokio::sync::Notify::new());
        let watching = watch(Arc::clone(&store), root, 0, 20_000, Arc::clone(&stop));
        let watching = tokio::spawn(watching);
        let records = wide(root, 20_000, new_root).records();
        let outcome = send(&engine, &format!("large-{root}"), records).await.unwrap();
        stop.notify_one();
        watching.await.unwrap();
        assert_eq!((outcome.applied, outcome.refused), (1, 0));
        assert_eq!(outcome.jobs, 20_000 + u64::from(new_root));
        assert_eq!(outcome.changes, 40_000);
        let numbers = subtree(&*store, root).await.unwrap();
        assert_eq!((numbers.total, numbers.successful), (20_000, 20_000));
        // The tree is like any other from now on.
        let updated =
            engine.update(id(root), NewChange::new(State::RanToCompletion)).await.unwrap();
        assert_eq!(updated.state, State::RanToCompletion);
        assert!(engine.create(job(root + 20_001, Some(root + 1))).await.unwrap().created);
        let blocked = engine.update(id(root + 2), NewChange::new(State::Running)).await.unwrap();
        assert!(!blocked.applied);
    }
    engine.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_tree_is_there_at_one_instant() {
    a_large_tree_on(Arc::new(MemoryStore::new())).await;
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
    a_large_tree_on(Arc::new(store)).await;
}

#[tokio::test]
async fn a_commit_sent_again_is_applied_once() {
    let (store, engine) = memory();
    let records = || wide(1, 10, true).records();
    let first = send(&engine, "once", records()).await.unwrap();
    assert_eq!(send(&engine, "once", records()).await.unwrap(), first);
    // Broken off before completion: the trees that were applied are not applied again.
    let mut two = wide(100, 3, true).records();
    let half = two.clone();
    two.extend(wide(200, 3, true).records());
    let Begun::Session(mut session) = engine.begin_upload(name("half")).await.unwrap() else {
        panic!("it has not been sent yet");
    };
    let busy = engine.begin_upload(name("half")).await.unwrap_err();
    assert!(matches!(busy, Error::CommitInProgress(_)));
    session.take(items(half)).await.unwrap();
    // The tree is under way; without the session it is still applied.
    drop(session);
    let outcome = send(&engine, "half", two).await.unwrap();
    assert_eq!((outcome.trees, outcome.applied, outcome.jobs), (2, 2, 8));
    assert_eq!(subtree(&*store, 100).await.unwrap().total, 3);
    assert_eq!(subtree(&*store, 200).await.unwrap().total, 3);
}

#[tokio::test]
async fn the_same_commit_by_two_servers_at_once_is_applied_once() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engines = [(); 2].map(|()| Engine::start(Arc::clone(&store), options()));
    engines[0].create(job(1, None)).await.unwrap();
    let records = || wide(1, 50, false).records();
    let both =
        tokio::join!(send(&engines[0], "twice", records()), send(&engines[1], "twice", records()));
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!((one.jobs, other.jobs), (50, 50));
    assert_eq!(subtree(&*store, 1).await.unwrap().total, 50);
}

#[tokio::test]
async fn another_tree_under_the_same_name_is_a_conflict() {
    let (_, engine) = memory();
    let Begun::Session(mut session) = engine.begin_upload(name("c")).await.unwrap() else {
        panic!("it has not been sent yet");
    };
    session.take(items(wide(1, 3, true).records())).await.unwrap();
    drop(session);
    let outcome = send(&engine, "c", wide(1, 4, true).records()).await.unwrap();
    let refusal = outcome.attention[0].refusal.as_ref().unwrap();
    assert_eq!((outcome.refused, refusal.code.as_str()), (1, "commit_conflict"));
}

#[tokio::test]
async fn a_waiter_for_a_job_hears_of_an_upload() {
    let (_, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    engine.create(job(2, Some(1))).await.unwrap();
    let wait = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.wait(id(1), StateSet::FINISHED, LONG).await })
    };
    let mut recording = Recording::default();
    recording.update(id(1), id(1), State::RanToCompletion, T);
    recording.update(id(2), id(1), State::Faulted, T);
    send(&engine, "c", recording.records()).await.unwrap();
    let waited = wait.await.unwrap().unwrap();
    assert_eq!((waited.reached, waited.state), (true, State::Faulted));
    assert!(engine.wait(id(2), StateSet::FINISHED, Duration::ZERO).await.unwrap().reached);
}

#[tokio::test]
async fn a_change_that_meets_a_finished_job_is_told() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    engine.update(id(1), NewChange::new(State::Faulted)).await.unwrap();
    let mut recording = Recording::default();
    recording.update(id(1), id(1), State::Running, T);
    recording.create(id(2), Some(id(1)), id(1), T);
    let outcome = send(&engine, "c", recording.records()).await.unwrap();
    assert_eq!((outcome.applied, outcome.blocked, outcome.changes), (1, 1, 0));
    let blocked = &outcome.attention[0].blocked_changes[0];
    assert_eq!((blocked.job, blocked.state, blocked.position), (id(1), State::Faulted, 2));
    assert_eq!(subtree(&*store, 1).await.unwrap().total, 1);
}

#[tokio::test]
async fn the_number_of_jobs_is_bounded() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let options = Options { commit_jobs: 10, ..options() };
    let engine = Engine::start(Arc::clone(&store), options);
    assert!(send(&engine, "ten", wide(1, 9, true).records()).await.is_ok());
    let error = send(&engine, "eleven", wide(100, 10, true).records()).await.unwrap_err();
    assert_eq!(error.code().code(), "commit_too_large");
    assert_eq!(error.position(), Some(1 + 1 + 3 * 9));
    assert_eq!(subtree(&*store, 100).await, None);
}

pub fn name(text: &str) -> UploadId {
    text.parse().unwrap()
}

pub fn items(records: Vec<Record<'static>>) -> Vec<Item> {
    records.into_iter().zip(0..).map(|(record, position)| Item { position, record }).collect()
}
