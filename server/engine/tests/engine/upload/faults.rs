//! Streams of well-formed records that contradict each other: refused with the position, and
//! nothing changes.

use std::borrow::Cow;

use jobtracker_engine::Engine;
use jobtracker_model::{Change, Definition, NewChange, State, Timestamp, limits, upload::Record};
use jobtracker_store::Store;

use super::{
    recording::{named, send},
    trees::{items, name},
};
use crate::harness::{id, job, memory};

const T: Timestamp = Timestamp::MIN;

fn tree(root: u64) -> Record<'static> {
    Record::Tree { root: id(root) }
}

fn new(number: u64, parent: Option<u64>, order: u64) -> Record<'static> {
    let definition = Cow::Owned(named(id(number)));
    Record::Job { id: id(number), parent: parent.map(id), order, time: T, definition }
}

fn old(number: u64) -> Record<'static> {
    Record::Existing { id: id(number) }
}

fn change(state: State, order: u64) -> Record<'static> {
    let change = Cow::Owned(Change::recorded(NewChange::new(state), T));
    Record::Change { order, change }
}

fn end() -> Record<'static> {
    Record::TreeEnd { jobs: 0, changes: 0, checksum: 0 }
}

fn with_id(order: u64, change_id: &str) -> Record<'static> {
    let change = NewChange::new(State::Running).change_id(change_id);
    Record::Change { order, change: Cow::Owned(Change::recorded(change, T)) }
}

/// A tree with root 1 and a job 2, and another tree with root 50.
async fn prepare(engine: &Engine) {
    for (number, parent) in [(1, None), (2, Some(1)), (50, None)] {
        engine.create(job(number, parent)).await.unwrap();
    }
    let change = NewChange::new(State::Warning).change_id("used");
    engine.update(id(2), change).await.unwrap();
}

/// The code, the position, and the records.
type Case = (&'static str, u64, Vec<Record<'static>>);

/// Jobs that may not come at their position.
fn jobs_out_of_place() -> Vec<Case> {
    let run = State::Running;
    vec![
        ("parent_not_found", 1, vec![tree(1), new(10, Some(99), 1)]),
        ("parent_is_self", 1, vec![tree(1), new(10, Some(10), 1)]),
        (
            "parent_after_child",
            3,
            vec![tree(1), new(10, Some(1), 1), new(11, Some(1), 2), new(12, Some(10), 3)],
        ),
        ("parent_not_found", 1, vec![tree(1), new(11, Some(10), 2), new(10, Some(1), 1)]),
        ("duplicate_id", 2, vec![tree(1), new(10, Some(1), 1), new(10, Some(1), 2)]),
        ("id_conflict", 1, vec![tree(1), new(2, None, 1)]),
        (
            "id_conflict",
            4,
            vec![
                tree(1),
                new(10, Some(1), 1),
                new(11, Some(1), 2),
                new(2, Some(1), 3),
                change(run, 4),
            ],
        ),
        ("job_not_found", 1, vec![tree(1), old(99)]),
        ("duplicate_id", 2, vec![tree(1), old(1), old(1)]),
        ("job_not_found", 0, vec![tree(99)]),
        ("other_tree", 1, vec![tree(1), new(10, None, 1)]),
        ("other_tree", 2, vec![tree(10), new(10, None, 1), new(11, None, 2)]),
        ("other_tree", 1, vec![tree(1), old(50)]),
        ("other_tree", 1, vec![tree(1), new(10, Some(50), 1)]),
        ("other_tree", 1, vec![tree(10), new(2, Some(1), 1)]),
    ]
}

/// Records that may not follow.
fn records_out_of_place() -> Vec<Case> {
    let long = Definition { name: "n".repeat(limits::NAME + 1), ..Definition::default() };
    let long = Record::Job {
        id: id(10),
        parent: Some(id(1)),
        order: 1,
        time: T,
        definition: Cow::Owned(long),
    };
    let line = |text: &str| Record::LogLine { time: T, text: Cow::Owned(text.to_owned()) };
    let waiting = State::WaitingForActivation;
    let run = State::Running;
    vec![
        ("out_of_order", 2, vec![tree(1), new(10, Some(1), 5), new(11, Some(10), 5)]),
        ("out_of_order", 2, vec![tree(1), new(10, Some(1), 5), change(run, 5)]),
        (
            "out_of_order",
            3,
            vec![tree(1), old(1), change(run, 5), change(run, 5), new(10, Some(1), 6)],
        ),
        (
            "out_of_order",
            3,
            vec![tree(1), new(10, Some(1), 1), change(run, 2), Record::Options { options: None }],
        ),
        ("state_not_allowed", 2, vec![tree(1), old(1), change(waiting, 1)]),
        ("state_not_allowed", 2, vec![tree(1), new(10, Some(1), 1), change(waiting, 2)]),
        ("invalid_field", 1, vec![tree(1), long]),
        ("invalid_field", 2, vec![tree(1), old(1), line("two\nlines")]),
        ("invalid_field", 2, vec![tree(1), new(10, Some(1), 1), line("two\nlines")]),
        ("invalid_field", 2, vec![tree(1), old(2), with_id(1, "")]),
        ("repeat_conflict", 2, vec![tree(1), old(2), with_id(1, "used")]),
        (
            "repeat_conflict",
            3,
            vec![tree(1), new(10, Some(1), 1), with_id(2, "same"), with_id(3, "same")],
        ),
    ]
}

#[tokio::test]
async fn a_tree_that_makes_no_sense_is_refused_whole() {
    let cases = jobs_out_of_place().into_iter().chain(records_out_of_place());
    let (store, engine) = memory();
    prepare(&engine).await;
    let before = seen(&*store).await;
    for (index, (code, position, mut records)) in cases.enumerate() {
        records.push(end());
        let outcome = send(&engine, &format!("case-{index}"), records).await.unwrap();
        let tree_result = &outcome.attention[0];
        let refusal = tree_result.refusal.as_ref().unwrap();
        let found = (refusal.code.as_str(), refusal.position);
        assert_eq!(found, (code, position), "case {index}");
        assert_eq!(seen(&*store).await, before, "case {index}");
    }
}

async fn seen(store: &dyn Store) -> Vec<Option<jobtracker_store::JobRow>> {
    let mut rows = Vec::new();
    for number in [1, 2, 9, 10, 11, 12, 50, 99] {
        rows.push(store.get_job(id(number)).await.unwrap());
    }
    rows
}

#[tokio::test]
async fn a_tree_deeper_than_a_tree_may_grow_is_refused() {
    let (store, engine) = memory();
    let deep = u64::from(limits::DEPTH);
    let mut records = vec![tree(100), new(100, None, 1)];
    records.extend((1..=deep + 1).map(|depth| new(100 + depth, Some(99 + depth), 1 + depth)));
    records.push(end());
    let outcome = send(&engine, "deep", records).await.unwrap();
    let refusal = outcome.attention[0].refusal.clone().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.position), ("too_deep", deep + 2));
    assert_eq!(store.get_job(id(100)).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_tree_does_not_hold_the_others_up() {
    let (store, engine) = memory();
    prepare(&engine).await;
    let records = vec![
        tree(1),
        old(1),
        change(State::Running, 1),
        new(10, Some(99), 2),
        end(),
        tree(50),
        old(50),
        change(State::Running, 1),
        end(),
    ];
    let outcome = send(&engine, "mixed", records).await.unwrap();
    assert_eq!((outcome.complete, outcome.applied, outcome.refused), (true, 1, 1));
    let states = store.get_states(vec![id(1), id(50)]).await.unwrap();
    assert_eq!(states, [State::WaitingToRun, State::Running]);
}

#[tokio::test]
async fn what_was_recorded_under_other_rules_is_not_taken() {
    let (_, engine) = memory();
    let jobtracker_engine::Begun::Session(mut session) =
        engine.begin_upload(name("c")).await.unwrap()
    else {
        panic!("it has not been sent yet");
    };
    let header = Record::Header { block_updates_after_finish: false };
    let error = session.take(items(vec![header])).await.unwrap_err();
    assert_eq!(error.code().code(), "other_rules");
}

#[tokio::test]
async fn the_same_root_twice_is_not_a_commit() {
    let (_, engine) = memory();
    prepare(&engine).await;
    let records = vec![tree(1), old(1), end(), tree(1), old(1), end()];
    let error = send(&engine, "c", records).await.unwrap_err();
    assert_eq!((error.code().code(), error.position()), ("duplicate_id", Some(3)));
}

/// The creation of a job that exists with the same definition is no error, as everywhere.
#[tokio::test]
async fn a_creation_that_was_done_before_is_passed_over() {
    let (store, engine) = memory();
    prepare(&engine).await;
    let records = vec![tree(1), new(2, Some(1), 1), new(10, Some(2), 2), end()];
    let outcome = send(&engine, "c", records).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs), (1, 1));
    let depth = store.get_job(id(10)).await.unwrap().unwrap().depth;
    assert_eq!(depth, 2);
    // The records after it are about the existing job.
    let records = vec![tree(1), new(1, None, 1), change(State::Running, 2), end()];
    let outcome = send(&engine, "again", records).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs, outcome.changes), (1, 0, 1));
    assert_eq!(store.get_states(vec![id(1)]).await.unwrap(), [State::Running]);
}
