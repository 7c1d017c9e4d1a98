//! Actions, checks and deliveries of existing jobs.

mod outages;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::FutureExt;
use jobtracker_engine::{Engine, Error, Options, Outages, SOON, Tried};
use jobtracker_model::{
    Action, Attempt, DeliveryId, HttpAction, JobId, NewChange, NewJob, NewLogLines, Progress,
    State, StateSet, Timestamp, limits,
};
use jobtracker_store::{
    Cause, CheckProgress, CheckRow, DeliveryRow, FollowUp, FollowUpKey, Row, Store, TreeCommit,
    Wanted, Watch, memory::MemoryStore,
};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    harness::{changes, id, job},
    upload::{
        follow_ups::{at, follow_ups, http, on, silence},
        recording::{Recording, send},
    },
};

const QUIET: u64 = 10_000;

/// The time of the clock, for the test that holds the lock.
static NOW: AtomicI64 = AtomicI64::new(0);
static TURN: Mutex<()> = Mutex::const_new(());

fn now() -> Timestamp {
    moment(NOW.load(Ordering::SeqCst))
}

fn it_is(millis: i64) {
    NOW.store(millis, Ordering::SeqCst);
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// No server was up from 50 s to 58 s, and every client was back 2 s later.
fn outages() -> Outages {
    Outages::new(&[(moment(50_000), moment(60_000))])
}

/// An engine whose clock this test alone sets.
async fn start() -> (Arc<dyn Store>, Engine, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    it_is(0);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    (Arc::clone(&store), Engine::start(store, Options::new(now)), turn)
}

async fn check(store: &dyn Store, of: u64, number: u32) -> CheckRow {
    let all = follow_ups(store, id(of)).await;
    let row = all.into_iter().find(|(key, _)| *key == FollowUpKey::Check(number));
    let Some((_, FollowUp::Check(row))) = row else { panic!("there is no check {number}") };
    row
}

async fn deliveries(store: &dyn Store, of: u64) -> Vec<DeliveryRow> {
    let all = follow_ups(store, id(of)).await.into_iter();
    let deliveries = all.filter_map(|(_, row)| match row {
        FollowUp::Delivery(row) => Some(row),
        _ => None,
    });
    deliveries.collect()
}

/// Makes a check if it is due now; answers when it is due next.
async fn look(store: &dyn Store, engine: &Engine, of: u64, number: u32) -> Option<i64> {
    let CheckProgress::Waiting(due) = check(store, of, number).await.progress else { return None };
    if due <= now() {
        assert!(engine.make_check(id(of), number, due, None, outages()).await.unwrap());
        // A second call changes nothing.
        assert!(!engine.make_check(id(of), number, due, None, outages()).await.unwrap());
    }
    match check(store, of, number).await.progress {
        CheckProgress::Waiting(due) => Some(due.millis()),
        _ => None,
    }
}

/// A notification saves repeated reads of the index.
#[tokio::test]
async fn a_commit_tells_of_what_is_due_soon() {
    let (_, engine, _turn) = start().await;
    let told = || engine.due(0).now_or_never().is_some();
    let check = silence(SOON.as_millis() as u64 + 1);
    let actions = vec![on(StateSet::FINISHED, http())];
    engine.create(NewJob { checks: vec![check], actions, ..job(1, None) }).await.unwrap();
    assert!(!told(), "nothing is due before the list is looked at anyway");
    engine.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
    assert!(told(), "a delivery is due");
    assert!(!told(), "once is enough");
    engine.update_options(id(1), Some("x".into())).await.unwrap();
    assert!(!told());
}

#[tokio::test]
async fn silence_is_counted_from_the_last_thing_that_took_effect() {
    let (store, engine, _turn) = start().await;
    let root = NewJob { checks: vec![silence(QUIET)], ..job(1, None) };
    engine.create(root).await.unwrap();
    let first = NewChange::new(State::Running).change_id("c");
    it_is(1_000);
    engine.create(job(2, Some(1))).await.unwrap();
    it_is(2_000);
    engine.update(id(2), first.clone()).await.unwrap();
    it_is(3_000);
    engine
        .append_log(id(2), NewLogLines { lines: vec!["x".into()], append_id: None })
        .await
        .unwrap();
    // None of these operations takes effect, so none ends the silence.
    it_is(4_000);
    engine.update(id(2), first).await.unwrap();
    engine.update_options(id(2), Some("x".into())).await.unwrap();
    assert!(!engine.create(job(2, Some(1))).await.unwrap().created);
    engine.add_action(id(1), on(StateSet::FINISHED, http())).await.unwrap();
    it_is(10_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(13_000), "no delivery yet");
    assert!(deliveries(&*store, 1).await.is_empty());
    it_is(13_500);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(23_500));
    let told = deliveries(&*store, 1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.quiet_since, Some(moment(3_000)));
    // The check reports again while the silence lasts, and ends with the job.
    it_is(23_500);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(33_500));
    assert_eq!(deliveries(&*store, 1).await.len(), 2);
    for job in [2, 1] {
        engine.update(id(job), NewChange::new(State::RanToCompletion)).await.unwrap();
    }
    it_is(40_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, None);
    let row = check(&*store, 1, 0).await;
    assert!(matches!(row.progress, CheckProgress::Done { passed: true, .. }), "{row:?}");
    // The action has fired for the end as well.
    assert_eq!((row.told, deliveries(&*store, 1).await.len()), (2, 3));
}

#[tokio::test]
async fn a_later_check_does_not_postpone_earlier_ones() {
    let (store, engine, _turn) = start().await;
    let root = NewJob { checks: vec![silence(QUIET)], ..job(1, None) };
    engine.create(root).await.unwrap();
    it_is(9_000);
    let (number, _) = engine.add_check(id(1), silence(QUIET + 1)).await.unwrap();
    it_is(10_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(20_000));
    assert_eq!(deliveries(&*store, 1).await.len(), 1);
    it_is(10_001);
    assert_eq!(look(&*store, &engine, 1, number).await, Some(19_001), "its own silence is short");
}

#[tokio::test]
async fn a_commit_that_changes_nothing_ends_no_silence() {
    let (store, engine, _turn) = start().await;
    let root = NewJob { checks: vec![silence(QUIET)], ..job(1, None) };
    engine.create(root).await.unwrap();
    engine.create(job(2, Some(1))).await.unwrap();
    engine.update(id(2), NewChange::new(State::RanToCompletion)).await.unwrap();
    it_is(5_000);
    let mut blocked = Recording::default();
    blocked.update(id(2), id(1), State::Running, now());
    let outcome = send(&engine, "blocked", blocked.records()).await.unwrap();
    assert_eq!((outcome.blocked, outcome.refused), (1, 0));
    it_is(10_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(20_000));
    assert_eq!(deliveries(&*store, 1).await.len(), 1);
    it_is(12_000);
    let mut applied = Recording::default();
    applied.update(id(1), id(1), State::Running, now());
    send(&engine, "applied", applied.records()).await.unwrap();
    it_is(15_000);
    // The same upload again: it was applied at that time, not now.
    send(&engine, "applied", applied.records()).await.unwrap();
    it_is(20_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(22_000));
}

#[tokio::test]
async fn a_commit_tells_whose_change_it_was_and_why() {
    let (store, engine, _turn) = start().await;
    let root = NewJob { actions: vec![on(StateSet::FINISHED, http())], ..job(1, None) };
    engine.create(root).await.unwrap();
    for child in [2, 3] {
        engine.create(job(child, Some(1))).await.unwrap();
    }
    let mut recording = Recording::default();
    recording.update(id(1), id(1), State::RanToCompletion, now());
    recording.update(id(2), id(1), State::RanToCompletion, now());
    recording.say(id(3), id(1), State::Faulted, "disk full");
    recording.create(id(9), None, id(9), now());
    recording.follow(id(9), vec![on(StateSet::FINISHED, http())], vec![]);
    recording.say(id(9), id(9), State::Faulted, "no network");
    send(&engine, "both", recording.records()).await.unwrap();
    for (job, source, message) in [(1, 3, "disk full"), (9, 9, "no network")] {
        let row = deliveries(&*store, job).await.remove(0);
        // The message of a new job is not copied; the row says where it is.
        let said = match row.cause {
            Cause::At(report) => {
                assert_eq!(report.job, row.event.source);
                changes(&*store, report.job).await[report.change as usize].message.clone()
            }
            _ => row.event.message.clone(),
        };
        assert_eq!((row.event.source, said.as_deref()), (id(source), Some(message)));
        assert_eq!(row.event.state, State::Faulted);
    }
}

#[tokio::test]
async fn a_check_that_was_cancelled_can_be_asked_for_again() {
    let (store, engine, _turn) = start().await;
    engine.create(job(1, None)).await.unwrap();
    for (number, new) in [(0, true), (0, false)] {
        assert_eq!(engine.add_check(id(1), silence(QUIET)).await.unwrap(), (number, new));
    }
    engine.cancel_check(id(1), 0).await.unwrap();
    engine.cancel_check(id(1), 0).await.unwrap();
    assert_eq!(engine.add_check(id(1), silence(QUIET)).await.unwrap(), (1, true));
    engine.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
    it_is(10_000);
    assert_eq!(look(&*store, &engine, 1, 1).await, None);
    // The job may be silent again.
    assert_eq!(engine.add_check(id(1), silence(QUIET)).await.unwrap(), (2, true));
    // A check that has been made stays made.
    let (number, _) = engine.add_check(id(1), at(9_000)).await.unwrap();
    assert_eq!(look(&*store, &engine, 1, number).await, None);
    assert_eq!(engine.add_check(id(1), at(9_000)).await.unwrap(), (number, false));
    let over = engine.cancel_check(id(1), number).await;
    assert!(matches!(over, Err(Error::CheckIsOver { .. })), "{over:?}");
    let unknown = engine.cancel_check(id(1), 7).await;
    assert!(matches!(unknown, Err(Error::CheckNotFound { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_job_has_so_many_of_them_and_no_more() {
    let (_, engine, _turn) = start().await;
    engine.create(job(1, None)).await.unwrap();
    let action =
        |number| Action::on_finish(HttpAction::new(format!("https://example.com/{number}")));
    for number in 0..limits::ACTIONS {
        engine.add_action(id(1), action(number)).await.unwrap();
    }
    assert!(!engine.add_action(id(1), action(0)).await.unwrap().1, "it is there");
    let many = engine.add_action(id(1), action(limits::ACTIONS)).await;
    assert!(matches!(many, Err(Error::TooManyActions(_))), "{many:?}");
    for number in 0..limits::CHECKS_EVER as i64 {
        engine.add_check(id(1), at(number)).await.unwrap();
    }
    let many = engine.add_check(id(1), at(1_000)).await;
    assert!(matches!(many, Err(Error::TooManyChecks(_))), "{many:?}");
    let unknown = engine.add_action(id(2), action(0)).await;
    assert!(matches!(unknown, Err(Error::JobNotFound(_))), "{unknown:?}");
}

async fn watch(store: &dyn Store, of: JobId) -> Watch {
    let wanted = Wanted { paths: [of].into(), ..Wanted::default() };
    match store.load(wanted).await.unwrap().follow_ups.remove(&(of, FollowUpKey::Watch)) {
        Some(FollowUp::Watch(watch)) => watch,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn checks_do_not_take_the_room_of_actions() {
    for (deliveries, of_check, of_action) in [
        (limits::DELIVERIES_OF_CHECKS - 1, 1, 1),
        (limits::DELIVERIES_OF_CHECKS, 0, 1),
        (limits::DELIVERIES, 0, 0),
    ] {
        let (store, engine, _turn) = start().await;
        let (actions, checks) = (vec![on(StateSet::FINISHED, http())], vec![silence(QUIET)]);
        engine.create(NewJob { actions, checks, ..job(1, None) }).await.unwrap();
        engine.close().await;
        // As if silence had been reported for days.
        let row = FollowUp::Watch(Watch { deliveries, ..watch(&*store, id(1)).await });
        let key = FollowUpKey::Watch;
        let rows = vec![Row::FollowUp { id: id(1), key, before: None, row }];
        let commit = TreeCommit { root: id(1), expected: 1, rows, publishes: None };
        store.commit(vec![commit]).await.remove(0).unwrap();
        let engine = Engine::start(Arc::clone(&store), Options::new(now));
        it_is(10_000);
        look(&*store, &engine, 1, 0).await;
        assert_eq!(watch(&*store, id(1)).await.deliveries - deliveries, of_check);
        assert_eq!(check(&*store, 1, 0).await.told, of_check);
        // A delivery that is not made is counted.
        assert_eq!(watch(&*store, id(1)).await.lost, 1 - of_check);
        engine.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        let now = watch(&*store, id(1)).await.deliveries;
        assert_eq!(now - deliveries, of_check + of_action);
        assert_eq!(watch(&*store, id(1)).await.lost, 2 - of_check - of_action);
        let mut registry = prometheus_client::registry::Registry::default();
        engine.register_metrics(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lost = format!("jobtracker_engine_lost_deliveries_total {}", 2 - of_check - of_action);
        assert!(text.contains(&lost), "{text}");
    }
}

fn attempt(time: Timestamp) -> Attempt {
    Attempt { time, status: Some(500), response: String::new() }
}

#[tokio::test]
async fn the_outcome_of_a_try_is_noted_once_and_not_over_a_request() {
    let (store, engine, _turn) = start().await;
    let actions = vec![on(StateSet::FINISHED, http())];
    engine.create(NewJob { actions, ..job(1, None) }).await.unwrap();
    engine.update(id(1), NewChange::new(State::Faulted)).await.unwrap();
    let delivery = DeliveryId { job: id(1), number: 0 };
    let at = |millis, attempts| Tried { due: moment(millis), attempts };
    let settle = async |tried, progress| {
        engine.settle_delivery(delivery, tried, attempt(now()), progress).await.unwrap()
    };
    it_is(1_000);
    assert!(settle(at(0, 0), Progress::Waiting(moment(6_000))).await);
    assert!(!settle(at(0, 0), Progress::Waiting(moment(6_000))).await, "a repetition");
    // A caller requests it again while the last try is under way, which fails.
    it_is(7_000);
    engine.replay_delivery(delivery).await.unwrap();
    assert!(!settle(at(6_000, 1), Progress::Failed(now())).await);
    let row = deliveries(&*store, 1).await.remove(0);
    assert_eq!((row.progress, row.attempts, row.earlier), (Progress::Waiting(now()), 1, 1));
    // The same, and the receiver has it.
    it_is(8_000);
    engine.replay_delivery(delivery).await.unwrap();
    assert!(settle(at(7_000, 1), Progress::Delivered(now())).await);
    let over = engine.cancel_delivery(delivery).await;
    assert!(matches!(over, Err(Error::DeliveryIsOver(_))), "{over:?}");
    engine.replay_delivery(delivery).await.unwrap();
    engine.cancel_delivery(delivery).await.unwrap();
    engine.cancel_delivery(delivery).await.unwrap();
    assert!(!settle(at(8_000, 2), Progress::Delivered(now())).await, "it was cancelled");
    // A replay of a range repeats a delivery only if it has not changed since it was listed.
    engine.replay_delivery(delivery).await.unwrap();
    assert!(settle(at(8_000, 2), Progress::Failed(moment(9_000))).await);
    for (failed, again) in [(9_001, false), (9_000, true), (9_000, false)] {
        let replayed = engine.replay_failed(delivery, moment(failed)).await.unwrap();
        assert_eq!(replayed, again, "{failed}");
    }
    let unknown = engine.replay_delivery(DeliveryId { number: 1, ..delivery }).await;
    assert!(matches!(unknown, Err(Error::DeliveryNotFound(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_check_of_the_past_is_due_at_once_and_one_of_the_future_is_not() {
    let (store, engine, _turn) = start().await;
    it_is(5_000);
    engine.create(job(1, None)).await.unwrap();
    for (time, due) in [(1_000, 5_000), (5_000, 5_000), (6_000, 6_000)] {
        let (number, _) = engine.add_check(id(1), at(time)).await.unwrap();
        let row = check(&*store, 1, number).await;
        assert_eq!(row.progress, CheckProgress::Waiting(moment(due)));
    }
    // The clock goes back: a check that was due is made all the same.
    it_is(2_000);
    assert!(engine.make_check(id(1), 0, moment(5_000), None, outages()).await.unwrap());
    let row = check(&*store, 1, 0).await;
    let CheckProgress::Done { time, passed: false, .. } = row.progress else { panic!("{row:?}") };
    assert_eq!(time, moment(2_000));
}
