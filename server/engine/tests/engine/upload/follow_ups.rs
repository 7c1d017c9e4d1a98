//! Actions and checks of jobs that an upload creates.

use std::sync::Arc;

use futures_util::FutureExt;
use jobtracker_engine::{Engine, Options};
use jobtracker_model::{
    Action, Channel, CheckKind, EmailAction, HttpAction, JobId, NewChange, NewCheck, NewJob,
    Progress, State, StateSet, Target, Timestamp, Trigger,
    upload::{Item, UploadOutcome},
};
use jobtracker_store::{
    CheckProgress, CheckRow, FollowUp, FollowUpKey, FollowUpsQuery, IndexId, IndexKey, IndexQuery,
    PageLimit, Store, Wanted, Watch,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};

use super::{
    recording::{Recording, send, session},
    trees::{items, wide},
};
use crate::{
    gate::Gate,
    harness::{id, job, memory, options},
};

const T: Timestamp = Timestamp::MIN;

pub fn http() -> Target {
    HttpAction::new("https://example.com/hook").into()
}

pub fn mail() -> Target {
    EmailAction::to("ops@example.com").into()
}

/// Every state that a job can become.
pub fn all() -> StateSet {
    State::ALL.iter().copied().filter(|state| *state != State::WaitingForActivation).collect()
}

/// An action for these states.
pub fn on(states: StateSet, target: Target) -> Action {
    Action { states, target }
}

pub fn silence(quiet_ms: u64) -> NewCheck {
    NewCheck::new(CheckKind::Silence { quiet_ms }).on_failure(mail())
}

pub fn at(millis: i64) -> NewCheck {
    let at = Timestamp::from_millis(millis).unwrap();
    NewCheck::new(CheckKind::State { at, states: StateSet::FINISHED }).on_failure(mail())
}

/// All follow-ups of a job.
pub async fn follow_ups(store: &dyn Store, id: JobId) -> Vec<(FollowUpKey, FollowUp)> {
    let mut all = Vec::new();
    for from in [FollowUpKey::Action(0), FollowUpKey::Check(0), FollowUpKey::Delivery(0)] {
        let query = FollowUpsQuery { id, from, limit: PageLimit::items(1000) };
        all.extend(store.list_follow_ups(query).await.unwrap().items);
    }
    all
}

/// Which actions of a job have fired, how, and for which state.
pub async fn fired(store: &dyn Store, of: JobId) -> Vec<(u32, Channel, State)> {
    let mut fired = Vec::new();
    for (_, row) in follow_ups(store, of).await {
        if let FollowUp::Delivery(row) = row {
            let Trigger::Action(number) = row.trigger else { panic!("no check was made") };
            fired.push((number, row.way.channel, row.event.state));
        }
    }
    fired
}

/// All entries of the index of what is due.
pub async fn due_index(store: &dyn Store) -> Vec<(IndexKey, FollowUp)> {
    let query = IndexQuery {
        index: IndexId::Due,
        part: 0,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        after: None,
        limit: PageLimit::items(1000),
    };
    store.list_index(query).await.unwrap().items
}

async fn watch(store: &dyn Store, of: JobId) -> Option<Watch> {
    let wanted = Wanted { paths: [of].into(), ..Wanted::default() };
    let mut loaded = store.load(wanted).await.unwrap();
    match loaded.follow_ups.remove(&(of, FollowUpKey::Watch)) {
        Some(FollowUp::Watch(watch)) => Some(watch),
        _ => None,
    }
}

pub fn code(outcome: &UploadOutcome) -> String {
    outcome.attention[0].refusal.as_ref().unwrap().code.clone()
}

/// A tree of a root and this many children, of which the first have follow-ups; all have ended
/// well, except the last two.
pub fn tree(root: u64, children: u64) -> Recording {
    let mut tree = wide(root, children, true);
    let (done, root_id) = (State::RanToCompletion, id(root));
    tree.update(root_id, root_id, done, T);
    tree.follow(root_id, vec![on(all(), http()), on(StateSet::FINISHED, mail())], vec![]);
    let both = HttpAction::new("http://a");
    let both = Target::from(both).and_email(EmailAction::to("a@b.de"));
    let faulted: StateSet = [State::Faulted].into_iter().collect();
    tree.follow(id(root + 1), vec![on(faulted, http()), on(StateSet::FINISHED, both)], vec![]);
    tree.follow(id(root + 2), vec![], vec![at(5), at(1 << 40), silence(60_000)]);
    // One job that was only created, and one that runs: the tree is not finished.
    let (waits, runs) = (id(root + children + 1), id(root + children + 2));
    for new in [waits, runs] {
        tree.create(new, Some(root_id), root_id, T);
        tree.follow(new, vec![on(all(), mail())], vec![]);
    }
    tree.update(runs, root_id, State::Warning, T);
    tree.update(runs, root_id, State::Running, T);
    tree
}

async fn what_follows_on(store: Arc<dyn Store>, children: u64) {
    let engine = Engine::start(Arc::clone(&store), options());
    let root = 1_000_000;
    let mut records = tree(root, children).records();
    let end = records.pop().unwrap();
    let mut session = session(&engine, "c").await.unwrap().unwrap();
    let count = records.len() as u64;
    session.take(items(records)).await.unwrap();
    // No index entry leads to rows that are staged.
    assert_eq!(due_index(&*store).await, []);
    session.take(vec![Item { position: count, record: end }]).await.unwrap();
    let outcome = session.finish().await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs), (1, children + 3));

    use Channel::{Email, Http};
    let (open, done) = (State::WaitingForChildrenToComplete, State::RanToCompletion);
    let (waits, runs) = (id(root + children + 1), id(root + children + 2));
    assert_eq!(fired(&*store, id(root)).await, [(0, Http, open)]);
    assert_eq!(fired(&*store, id(root + 1)).await, [(1, Http, done), (1, Email, done)]);
    assert_eq!(fired(&*store, id(root + 2)).await, []);
    assert_eq!(fired(&*store, waits).await, []);
    assert_eq!(fired(&*store, runs).await, [(0, Email, State::Running)]);
    // The deliveries show the jobs as they became visible, and the index has all of them.
    let (mut waiting, mut moments) = (Vec::new(), Vec::new());
    for of in [id(root), id(root + 1), id(root + 2), waits, runs] {
        let row = store.get_job(of).await.unwrap().unwrap();
        assert!(row.status.flags.followed);
        let rows = follow_ups(&*store, of).await;
        let count = |kind: u8| rows.iter().filter(|(key, _)| key.parts().0 == kind).count();
        let watch = watch(&*store, of).await.unwrap();
        let counted = [watch.actions.len(), watch.checks as usize, watch.deliveries as usize];
        assert_eq!(counted, [count(1), count(2), count(3)]);
        assert_eq!(watch.active.is_some(), watch.silences > 0);
        for (key, row_of) in rows {
            if let FollowUp::Delivery(delivery) = &row_of {
                let (event, status) = (&delivery.event, &row.status);
                assert_eq!((event.source, event.state), (of, status.state));
                assert_eq!(event.children, status.children);
                assert_eq!(event.subtree, status.subtree);
                assert_eq!(delivery.progress, Progress::Waiting(event.time));
                moments.push(event.time);
            }
            if let Some((IndexId::Due, time)) = row_of.entry() {
                waiting.push((IndexKey { time, id: of, key }, row_of));
            }
        }
    }
    waiting.sort_by_key(|(place, _)| *place);
    assert_eq!(due_index(&*store).await, waiting);
    assert_eq!(waiting.len(), 7);
    assert!(moments.windows(2).all(|two| two[0] == two[1]), "at one instant");
    checks_wait(&*store, id(root + 2), moments[0]).await;

    // These jobs are like all others from now on.
    let over = NewChange::new(done);
    engine.update(waits, over.clone()).await.unwrap();
    assert_eq!(fired(&*store, waits).await, [(0, Email, done)]);
    engine.update(runs, over).await.unwrap();
    assert_eq!(fired(&*store, runs).await[1..], [(0, Email, done)]);
    assert_eq!(fired(&*store, id(root)).await[1..], [(0, Http, done), (1, Email, done)]);
    engine.close().await;
    store.close().await;
}

/// The checks of a job that became visible then: one was due, one will be, one waits for silence.
async fn checks_wait(store: &dyn Store, of: JobId, visible: Timestamp) {
    let due = |row: FollowUp| {
        let FollowUp::Check(CheckRow { progress, created, told, .. }) = row else { panic!() };
        assert_eq!((created, told), (visible, 0));
        let CheckProgress::Waiting(due) = progress else { panic!("it waits: {progress:?}") };
        due.millis()
    };
    let rows = follow_ups(store, of).await.into_iter();
    let found: Vec<_> = rows.map(|(_, row)| due(row)).collect();
    assert_eq!(found, [visible.millis(), 1 << 40, visible.millis() + 60_000]);
    assert_eq!(watch(store, of).await.unwrap().silences, 1);
}

#[tokio::test]
async fn what_follows_from_a_small_tree() {
    what_follows_on(Arc::new(MemoryStore::new()), 5).await;
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
    what_follows_on(Arc::new(store), 5).await;
}

#[tokio::test]
async fn what_follows_from_a_tree_that_is_staged() {
    what_follows_on(Arc::new(MemoryStore::new()), 20_000).await;
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
    what_follows_on(Arc::new(store), 20_000).await;
}

#[tokio::test]
async fn a_commit_sent_again_fires_once() {
    for children in [5, 20_000] {
        let (store, engine) = memory();
        engine.create(job(7, None).notify_on_finish(http())).await.unwrap();
        let records = || {
            let mut tree = tree(1_000_000, children);
            tree.update(id(7), id(7), State::Faulted, T);
            tree.records()
        };
        let mut first = session(&engine, "c").await.unwrap().unwrap();
        first.take(items(records())).await.unwrap();
        drop(first);
        let outcome = send(&engine, "c", records()).await.unwrap();
        assert_eq!((outcome.applied, outcome.refused), (2, 0));
        let before = due_index(&*store).await;
        assert_eq!(before.len(), 8);
        assert_eq!(send(&engine, "c", records()).await.unwrap(), outcome);
        assert_eq!(due_index(&*store).await, before);
    }
}

/// An action does not fire for a commit that the store refused, and fires once when it commits.
#[tokio::test]
async fn a_commit_that_fails_has_fired_nothing() {
    use jobtracker_store::Error as StoreError;
    for children in [5, 20_000] {
        let gate = Gate::closed();
        let engine = Engine::start(gate.store(), options());
        gate.open();
        *gate.failing.lock() = Some(StoreError::Unavailable("down".into()));
        let records = || tree(1_000_000, children).records();
        send(&engine, "c", records()).await.unwrap_err();
        assert_eq!(due_index(&*gate).await, []);
        *gate.failing.lock() = None;
        send(&engine, "c", records()).await.unwrap();
        assert_eq!(due_index(&*gate).await.len(), 7);
    }
}

#[tokio::test]
async fn the_same_job_has_the_same_follow_ups() {
    let (store, engine) = memory();
    let new = |targets: Vec<Target>| {
        let mut tree = Recording::default();
        tree.create(id(1), None, id(1), T);
        tree.follow(id(1), targets.into_iter().map(Action::on_finish).collect(), vec![at(9)]);
        tree.create(id(2), Some(id(1)), id(1), T);
        tree
    };
    let direct = NewJob { checks: vec![at(9)], ..job(1, None).notify_on_finish(http()) };
    engine.create(direct.clone()).await.unwrap();
    let before = follow_ups(&*store, id(1)).await;
    // With the same follow-ups the creation is a repetition; with others it is a conflict.
    let outcome = send(&engine, "same", new(vec![http()]).records()).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs), (1, 1));
    assert_eq!(follow_ups(&*store, id(1)).await, before);
    for (name, targets) in [("none", vec![]), ("more", vec![http(), mail()])] {
        let outcome = send(&engine, name, new(targets).records()).await.unwrap();
        assert_eq!(code(&outcome), "id_conflict");
    }
    // The other way round.
    let mut tree = Recording::default();
    tree.create(id(11), None, id(11), T);
    tree.follow(id(11), vec![Action::on_finish(http())], vec![at(9)]);
    send(&engine, "new", tree.records()).await.unwrap();
    let again = NewJob { id: Some(id(11)), name: "job 11".into(), ..direct };
    assert!(!engine.create(again.clone()).await.unwrap().created);
    let error = engine.create(again.notify_on(State::Running, http())).await.unwrap_err();
    assert_eq!(error.code().code(), "id_conflict");
}

/// Operations of one group see each other: a new job's actions fire for the operation right behind
/// its upload.
#[tokio::test]
async fn a_change_to_a_new_job_in_the_same_group_fires() {
    let gate = Gate::closed();
    let one = Options { commits_at_once: 1, ..options() };
    let engine = Engine::start(gate.store(), one);
    let before = tokio::spawn({
        let engine = engine.clone();
        async move { engine.create(job(500, None)).await.unwrap() }
    });
    gate.came.acquire().await.unwrap().forget();
    let mut session = session(&engine, "c").await.unwrap().unwrap();
    let mut tree = Recording::default();
    tree.create(id(1), None, id(1), T);
    tree.follow(id(1), vec![on(all(), http())], vec![silence(60_000)]);
    tree.update(id(1), id(1), State::Running, T);
    session.take(items(tree.records())).await.unwrap();
    let over = NewChange::new(State::Faulted).message("no more");
    let mut update = Box::pin(engine.update(id(1), over));
    assert!((&mut update).now_or_never().is_none());
    gate.open();
    before.await.unwrap();
    assert!(update.await.unwrap().applied);
    session.finish().await.unwrap();
    let states: Vec<_> =
        fired(&*gate, id(1)).await.into_iter().map(|(_, _, state)| state).collect();
    assert_eq!(states, [State::Running, State::Faulted]);
    // One commit for the job that was in the way, and one for both trees.
    assert_eq!(gate.came.available_permits(), 1);
}

/// An existing job goes at once to the state to which the upload brings it.
#[tokio::test]
async fn a_job_that_is_there_fires_once_for_its_final_state() {
    let (store, engine) = memory();
    let root = job(1, None).action(on(all(), http()));
    engine.create(root).await.unwrap();
    engine.create(job(2, Some(1)).action(on(all(), mail()))).await.unwrap();
    let mut tree = Recording::default();
    for state in [State::Running, State::Warning, State::Faulted] {
        tree.update(id(2), id(1), state, T);
    }
    for state in [State::Running, State::Warning, State::WaitingToRun] {
        tree.update(id(1), id(1), state, T);
    }
    // A new job below an old one, in two steps that are never visible.
    tree.create(id(3), Some(id(2)), id(1), T);
    tree.follow(id(3), vec![on(all(), http())], vec![]);
    tree.update(id(3), id(1), State::Running, T);
    tree.update(id(3), id(1), State::RanToCompletion, T);
    send(&engine, "c", tree.records()).await.unwrap();
    assert_eq!(fired(&*store, id(1)).await, []);
    assert_eq!(fired(&*store, id(2)).await, [(0, Channel::Email, State::Faulted)]);
    assert_eq!(fired(&*store, id(3)).await, [(0, Channel::Http, State::RanToCompletion)]);
}
