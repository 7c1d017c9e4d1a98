//! Uploads that fail at the store, are dropped half-way, or come in at the same time.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
};

use futures_util::FutureExt;
use jobtracker_engine::{Engine, Error};
use jobtracker_model::{NewChange, NewJob, State, Timestamp, limits, upload::Record};
use jobtracker_store::{Error as StoreError, Jobs, PageLimit, TreeResultsQuery, Uploads};

use super::{
    recording::{named, send, session},
    trees::{items, name, wide},
};
use crate::{
    gate::{Gate, Gated},
    harness::{id, job, memory, options},
};

/// A tree is large when a part of it is staged; its root is new.
const LARGE: u64 = 20_000;

fn gated() -> (Arc<Gated>, Engine) {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    (gate, engine)
}

#[tokio::test]
async fn a_large_tree_whose_commit_fails_is_not_said_to_be_there() {
    for failure in [
        StoreError::Full("disk".into()),
        StoreError::Unavailable("down".into()),
        StoreError::Stale { root: id(1_000_000) },
        StoreError::OutcomeUnknown("lost".into()),
    ] {
        let (gate, engine) = gated();
        gate.open();
        *gate.failing.lock() = Some(failure);
        let records = || wide(1_000_000, LARGE, true).records();
        let error = send(&engine, "c", records()).await.unwrap_err();
        assert!(error.code().is_transient(), "{error:?}");
        assert_eq!(gate.get_job(id(1_000_000)).await.unwrap(), None);
        assert_eq!(gate.get_upload(&name("c")).await.unwrap(), None);
        *gate.failing.lock() = None;
        let outcome = send(&engine, "c", records()).await.unwrap();
        assert_eq!((outcome.applied, outcome.jobs), (1, LARGE + 1));
    }
}

/// The upload reads behind all other reads, and waits for room to do so.
#[tokio::test]
async fn a_commit_does_not_fail_because_many_are_reading() {
    let (gate, engine) = gated();
    gate.open();
    gate.no_room.store(10, Ordering::Relaxed);
    let outcome = send(&engine, "c", wide(100, 3, true).records()).await.unwrap();
    assert_eq!((outcome.applied, gate.no_room.load(Ordering::Relaxed)), (1, 0));
    // If the store stays full, or does not answer, the client gets an error in the end.
    gate.no_room.store(usize::MAX, Ordering::Relaxed);
    let error = send(&engine, "d", wide(200, 3, true).records()).await.unwrap_err();
    assert!(error.code().is_transient(), "{error:?}");
    assert_eq!(gate.get_job(id(200)).await.unwrap(), None);
}

/// While trees of a dropped session are under way, the upload is still coming in.
#[tokio::test]
async fn a_commit_sent_again_at_once_is_told_what_became_of_it() {
    let (gate, engine) = gated();
    let records = || wide(100, 3, true).records();
    let mut first = session(&engine, "c").await.unwrap().unwrap();
    first.take(items(records())).await.unwrap();
    drop(first);
    let busy = engine.begin_upload(name("c")).await.unwrap_err();
    assert!(matches!(busy, Error::CommitInProgress(_)), "{busy:?}");
    gate.open();
    let outcome = send(&engine, "c", records()).await.unwrap();
    assert_eq!((outcome.applied, outcome.refused, outcome.jobs), (1, 0, 4));
}

#[tokio::test]
async fn what_was_applied_before_need_not_be_sent_again() {
    let (store, engine) = memory();
    let mut first = session(&engine, "c").await.unwrap().unwrap();
    first.take(items(wide(100, 3, true).records())).await.unwrap();
    drop(first);
    let outcome = send(&engine, "c", wide(200, 5, true).records()).await.unwrap();
    assert_eq!((outcome.trees, outcome.applied, outcome.jobs), (2, 2, 10));
    let limit = PageLimit::items(10);
    let query = TreeResultsQuery { upload: name("c"), after: None, limit };
    assert_eq!(store.list_tree_results(query).await.unwrap().items.len(), 2);
}

/// An operation that waits behind a large tree under way is not lost when its root is created
/// again.
#[tokio::test]
async fn no_operation_behind_a_large_tree_is_lost() {
    let (gate, engine) = gated();
    let mut first = session(&engine, "c").await.unwrap().unwrap();
    first.take(items(wide(1_000_000, LARGE, true).records())).await.unwrap();
    gate.came.acquire().await.unwrap().forget();
    let running = NewChange::new(State::Running);
    let mut update = Box::pin(engine.update(id(1_000_000 + LARGE), running));
    assert!((&mut update).now_or_never().is_none());
    let mut create = Box::pin(engine.create(job(1_000_000, None)));
    assert!((&mut create).now_or_never().is_none());
    gate.open();
    // The last job had ended, so the update is answered and changes nothing. The root exists, with
    // another name than the creation gives it, or with the same one.
    assert!(!update.await.unwrap().applied);
    assert!(!create.await.unwrap().created);
    let outcome = first.finish().await.unwrap();
    assert_eq!((outcome.applied, outcome.refused), (1, 0));
}

/// An upload may use ids that the engine would have given out next.
#[tokio::test]
async fn jobs_without_ids_are_created_beside_an_open_stage() {
    let (_, engine) = memory();
    let first = engine.create(NewJob::new("a")).await.unwrap().id.get();
    let mut open = session(&engine, "c").await.unwrap().unwrap();
    let mut records = wide(first + 1, LARGE, true).records();
    records.pop();
    open.take(items(records)).await.unwrap();
    assert!(engine.create(NewJob::new("b")).await.unwrap().created);
}

#[tokio::test]
async fn a_tree_of_nothing_but_what_is_there_is_applied() {
    let (_, engine) = memory();
    engine.create(job(7, None)).await.unwrap();
    let definition = Cow::Owned(named(id(7)));
    let time = Timestamp::MIN;
    let records = vec![
        Record::Tree { root: id(7) },
        Record::Job { id: id(7), parent: None, order: 1, time, definition },
        Record::TreeEnd { jobs: 1, changes: 0, checksum: 0 },
    ];
    let outcome = send(&engine, "c", records).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs), (1, 0));
}

#[tokio::test]
async fn a_commit_has_bounds() {
    let (_, engine) = memory();
    let (time, end) = (Timestamp::MIN, Record::TreeEnd { jobs: 0, changes: 0, checksum: 0 });
    // Too many ranges of ids.
    let mut records = vec![Record::Tree { root: id(1) }];
    records.extend((0..=limits::COMMIT_ID_RANGES).map(|number| Record::Job {
        id: id(1 + (number << 16)),
        parent: (number > 0).then(|| id(1)),
        order: number + 1,
        time,
        definition: Cow::Owned(named(id(1))),
    }));
    let error = send(&engine, "ids", records).await.unwrap_err();
    assert_eq!(error.code().code(), "commit_too_large");
    assert_eq!(error.position(), Some(limits::COMMIT_ID_RANGES + 1));
    // Too many trees.
    let trees = (1..=limits::COMMIT_TREES + 1)
        .flat_map(|root| [Record::Tree { root: id(root) }, end.clone()]);
    let error = send(&engine, "trees", trees.collect()).await.unwrap_err();
    assert_eq!(error.code().code(), "commit_too_large");
    assert_eq!(error.position(), Some(2 * limits::COMMIT_TREES));
    // Too many changes to an existing job.
    engine.create(job(3, None)).await.unwrap();
    let line = || Record::LogLine { time, text: "x".repeat(limits::LOG_LINE).into() };
    let mut records = vec![Record::Tree { root: id(3) }, Record::Existing { id: id(3) }];
    let most = limits::COMMIT_EXISTING_BYTES / limits::LOG_LINE;
    records.extend(std::iter::repeat_with(line).take(most));
    records.push(end);
    let outcome = send(&engine, "lines", records).await.unwrap();
    let refusal = outcome.attention[0].refusal.clone().unwrap();
    assert_eq!(refusal.code, "commit_too_large");
}
