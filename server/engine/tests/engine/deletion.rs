use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use jobtracker_engine::{Deletion, Engine, Error, FeedEvent, MoveReason, Scope};
use jobtracker_model::{JobId, NewChange, State, StateSet, Timestamp};
use jobtracker_store::{Store, Tombstone, Version};

use super::{
    gate::Gate,
    harness::{LONG, id, job, memory, options},
    upload::{recording::send, trees::wide},
};

fn deletion(root: u64, version: Version) -> Deletion {
    let tombstone_kept = Duration::from_secs(3_600);
    Deletion { root: id(root), version, by: "anna".to_owned(), tombstone_kept, summary: None }
}

/// A root with two children.
async fn three(engine: &Engine, root: u64) {
    engine.create(job(root, None)).await.unwrap();
    for child in [root + 1, root + 2] {
        engine.create(job(child, Some(root))).await.unwrap();
    }
}

fn is_gone<T: std::fmt::Debug>(done: Result<T, Error>, of: u64) -> Timestamp {
    match done {
        Err(Error::Gone { root, time, by }) if root == id(of) && by == "anna" => time,
        other => panic!("{other:?}"),
    }
}

fn is_missing<T: std::fmt::Debug>(done: &Result<T, Error>, of: u64) {
    assert!(matches!(done, Err(Error::JobNotFound(missing)) if *missing == id(of)), "{done:?}");
}

#[tokio::test]
async fn a_deleted_tree_is_gone_for_every_operation() {
    let (store, engine) = memory();
    three(&engine, 1).await;
    three(&engine, 10).await;
    let Tombstone { time, by, jobs, until, .. } = engine.delete(deletion(1, 3)).await.unwrap();
    assert_eq!((by.as_str(), jobs, until.millis() - time.millis()), ("anna", 3, 3_600_000));
    assert_eq!(store.get_job(id(2)).await.unwrap(), None);
    for of in [1, 2] {
        is_missing(&engine.update(id(of), NewChange::new(State::Running)).await, of);
        is_missing(&engine.update_options(id(of), None).await, of);
        is_missing(&engine.put_attachment(id(of), "a".into(), "b".into()).await, of);
    }
    let below = engine.create(job(5, Some(2))).await;
    assert!(matches!(below, Err(Error::ParentNotFound(_))), "{below:?}");
    assert_eq!(is_gone(engine.create(job(1, None)).await, 1), time);
    assert_eq!(is_gone(engine.delete(deletion(1, 3)).await, 1), time);
    is_missing(&engine.delete(deletion(2, 3)).await, 2);
    is_missing(&engine.delete(deletion(99, 0)).await, 99);
    // The other tree goes on.
    engine.update(id(10), NewChange::new(State::Running)).await.unwrap();
    assert_eq!(store.get_job(id(10)).await.unwrap().unwrap().status.state, State::Running);
}

#[tokio::test]
async fn only_a_root_goes_and_only_as_it_was_judged() {
    let (store, engine) = memory();
    three(&engine, 1).await;
    let no_root = engine.delete(deletion(2, 3)).await;
    let is_refused =
        matches!(no_root, Err(Error::NotARoot { id: of, root }) if (of, root) == (id(2), id(1)));
    assert!(is_refused, "{no_root:?}");
    for version in [0, 2, 4] {
        let changed = engine.delete(deletion(1, version)).await;
        assert!(matches!(changed, Err(Error::TreeChanged(_))), "{changed:?}");
    }
    assert!(store.get_job(id(1)).await.unwrap().is_some());
    engine.delete(deletion(1, 3)).await.unwrap();
}

/// Operations that share a group see each other.
#[tokio::test]
async fn what_comes_in_the_same_group_counts() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    gate.permits.add_permits(1);
    engine.create(job(1, None)).await.unwrap();
    gate.came.acquire().await.unwrap().forget();
    let spawn = |deletion| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.delete(deletion).await })
    };
    // While the first is in a commit, the others gather for the next group, in this order.
    let other = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.create(job(7, None)).await })
    };
    gate.came.acquire().await.unwrap().forget();
    let mut update = Box::pin(engine.update(id(1), NewChange::new(State::Running)));
    assert!((&mut update).now_or_never().is_none());
    let judged_before = spawn(deletion(1, 1));
    gate.open();
    update.await.unwrap();
    let changed = judged_before.await.unwrap();
    assert!(matches!(changed, Err(Error::TreeChanged(_))), "{changed:?}");
    other.await.unwrap().unwrap();
    engine.delete(deletion(1, 2)).await.unwrap();
}

/// A deletion that the store refuses has not happened, for the operations behind it either.
#[tokio::test]
async fn a_deletion_whose_commit_fails_is_none() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    gate.permits.add_permits(2);
    engine.create(job(1, None)).await.unwrap();
    engine.create(job(2, Some(1))).await.unwrap();
    gate.came.acquire_many(2).await.unwrap().forget();
    // While this one is in a commit, the others gather for the next group.
    let mut other = Box::pin(engine.create(job(7, None)));
    assert!((&mut other).now_or_never().is_none());
    gate.came.acquire().await.unwrap().forget();
    let mut deletion = Box::pin(engine.delete(deletion(1, 2)));
    assert!((&mut deletion).now_or_never().is_none());
    let mut options = Box::pin(engine.update_options(id(2), Some("new".into())));
    assert!((&mut options).now_or_never().is_none());
    gate.permits.add_permits(1);
    other.await.unwrap();
    gate.came.acquire().await.unwrap().forget();
    *gate.failing.lock() = Some(jobtracker_store::Error::Full("test".into()));
    gate.open();
    for refused in [deletion.await.map(drop), options.await] {
        let is_full = matches!(&refused, Err(Error::Store(jobtracker_store::Error::Full(_))));
        assert!(is_full, "{refused:?}");
    }
    *gate.failing.lock() = None;
    engine.update(id(2), NewChange::new(State::Running)).await.unwrap();
}

#[tokio::test]
async fn who_waits_or_listens_is_told() {
    let (_, engine) = memory();
    three(&engine, 1).await;
    let wait = |of| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.wait(id(of), StateSet::FINISHED, LONG).await })
    };
    let waits = [(1, wait(1)), (2, wait(2))];
    let mut listener = engine.listen(Scope::Tree(id(1))).unwrap();
    let mut of_job = engine.listen(Scope::Job { root: id(1), id: id(2) }).unwrap();
    tokio::task::yield_now().await;
    engine.delete(deletion(1, 3)).await.unwrap();
    for (of, wait) in waits {
        is_missing(&wait.await.unwrap(), of);
    }
    for listener in [&mut listener, &mut of_job] {
        let told = listener.next().await.unwrap();
        let is_told =
            matches!(told, FeedEvent::Moved { from: 3, to: 4, reason: MoveReason::Deleted, .. });
        assert!(is_told, "{told:?}");
    }
}

/// A service that is told of the deletion late sends its upload again.
#[tokio::test]
async fn an_upload_to_a_deleted_tree_is_refused_as_gone() {
    let (store, engine) = memory();
    let version = |store: Arc<dyn Store>| async move {
        store.commits_after(id(100), Version::MAX).await.unwrap().0
    };
    let code = |outcome: &jobtracker_model::upload::UploadOutcome| {
        outcome.attention[0].refusal.as_ref().unwrap().code.clone()
    };
    let root: JobId = id(100);
    for jobs in [5, 3_000] {
        let first = format!("first-{jobs}");
        let applied = send(&engine, &first, wide(100, jobs, true).records()).await.unwrap();
        assert_eq!(applied.applied, 1, "{jobs} jobs");
        let judged = version(Arc::clone(&store)).await;
        engine.delete(deletion(100, judged)).await.unwrap();
        // One that is complete is answered as before.
        let again = send(&engine, &first, wide(100, jobs, true).records()).await.unwrap();
        assert_eq!(again.applied, 1);
        let second = format!("second-{jobs}");
        let refused = send(&engine, &second, wide(100, jobs, true).records()).await.unwrap();
        assert_eq!((refused.applied, refused.refused), (0, 1));
        assert_eq!(code(&refused), "gone");
        assert_eq!(store.get_job(root).await.unwrap(), None);
        assert_eq!(store.forget_tombstones(Timestamp::MAX, 10).await.unwrap(), 1);
    }
}
