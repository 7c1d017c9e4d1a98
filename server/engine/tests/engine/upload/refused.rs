//! Actions and checks that are refused, or never arrive completely, and so have no effect.

use jobtracker_model::{
    Action, EmailAction, HttpAction, NewCheck, Payload, StateSet, Target, Timestamp, limits,
    upload::{Record, TREE_UPCOMING, TREE_UPCOMING_BYTES},
};

use super::{
    follow_ups::{all, at, code, due_index, fired, http, on, silence, tree},
    recording::{Recording, send, session},
    trees::{items, wide},
};
use crate::harness::{id, job, memory};

const T: Timestamp = Timestamp::MIN;

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_fires_nothing() {
    let (store, engine) = memory();
    let many = |count| vec![on(all(), http()); count];
    let cases: Vec<(&str, Vec<Action>, Vec<NewCheck>)> = vec![
        ("actions", many(limits::ACTIONS + 1), vec![]),
        ("checks", vec![], vec![at(0); limits::CHECKS + 1]),
        ("actions[1].states", vec![on(all(), http()), on(StateSet::EMPTY, http())], vec![]),
        ("actions[0].http.url", vec![on(all(), HttpAction::new("ftp://a").into())], vec![]),
        ("checks[0].quietMs", vec![], vec![silence(1)]),
        ("checks[1]", vec![], vec![at(0), NewCheck::new(at(0).kind)]),
    ];
    for (index, (field, actions, checks)) in cases.into_iter().enumerate() {
        let mut tree = tree(100, 5);
        tree.follow(id(105), actions, checks);
        let outcome = send(&engine, &format!("c{index}"), tree.records()).await.unwrap();
        assert_eq!(code(&outcome), "invalid_field", "{field}");
        let detail = &outcome.attention[0].refusal.as_ref().unwrap().detail;
        assert!(detail.contains(field), "{field}: {detail}");
        assert_eq!(due_index(&*store).await, []);
        assert_eq!(store.get_job(id(100)).await.unwrap(), None);
    }
    // Complete, but the tree of another upload is in the way.
    engine.create(job(103, None)).await.unwrap();
    let outcome = send(&engine, "late", tree(100, 5).records()).await.unwrap();
    assert_eq!((outcome.refused, due_index(&*store).await.len()), (1, 0));
}

#[tokio::test]
async fn too_much_that_follows_is_refused() {
    let (store, engine) = memory();
    let both = Target::from(HttpAction::new("http://a")).and_email(EmailAction::to("a@b.de"));
    let each = 2 * limits::ACTIONS;
    let ended = |jobs: usize| {
        let mut tree = wide(1, jobs as u64, true);
        for child in 2..2 + jobs as u64 {
            tree.follow(id(child), vec![on(all(), both.clone()); limits::ACTIONS], vec![]);
        }
        tree
    };
    let most = TREE_UPCOMING / each;
    let outcome = send(&engine, "over", ended(most + 1).records()).await.unwrap();
    assert_eq!(code(&outcome), "commit_too_large");
    assert_eq!((due_index(&*store).await.len(), store.get_job(id(1)).await.unwrap()), (0, None));
    // A creation fires nothing, so it counts no delivery.
    let outcome = send(&engine, "just", ended(most).records()).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs), (1, most as u64 + 1));
    assert_eq!(fired(&*store, id(2)).await.len(), each);

    let text = "x".repeat(limits::OPTIONS / 4 - 2);
    let payload = Payload::of(&text).unwrap();
    let target = HttpAction::new("http://a").payload(payload);
    let check = NewCheck::new(at(0).kind).on_success(target.clone()).on_failure(target);
    let mut tree = Recording::default();
    tree.create(id(100_000), None, id(100_000), T);
    for child in 0..=(TREE_UPCOMING_BYTES / check.bytes() / limits::CHECKS) as u64 {
        tree.create(id(100_001 + child), Some(id(100_000)), id(100_000), T);
        tree.follow(id(100_001 + child), vec![], vec![check.clone(); limits::CHECKS]);
    }
    let outcome = send(&engine, "texts", tree.records()).await.unwrap();
    assert_eq!(code(&outcome), "commit_too_large");
}

/// The records of an upload without its end have no effect.
#[tokio::test]
async fn a_tree_that_breaks_off_fires_nothing() {
    let (store, engine) = memory();
    let mut records = tree(1_000_000, 20_000).records();
    assert!(matches!(records.pop(), Some(Record::TreeEnd { .. })));
    let mut broken = session(&engine, "c").await.unwrap().unwrap();
    broken.take(items(records)).await.unwrap();
    broken.finish().await.unwrap();
    assert_eq!(due_index(&*store).await, []);
    assert_eq!(store.get_job(id(1_000_000)).await.unwrap(), None);
}
