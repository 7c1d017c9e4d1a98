//! What listeners are told, against a model: who takes up each event over what was read before has
//! the rows that the store has at that version.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use jobtracker_engine::{Engine, FeedEvent, Listener, MoveReason, Scope};
use jobtracker_model::{HttpAction, JobId, NewChange, NewLogLines, State, StateSet, Timestamp};
use jobtracker_store::{
    PageLimit, Row, RowsQuery, Store, Version, Wanted,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};
use proptest::{prelude::*, sample::Index};
use tokio::task::unconstrained;

use crate::{
    gate::Gate,
    harness::{LONG, id, job, memory, options},
    sequences::REPORTED,
    upload::{
        follow_ups::on,
        recording::{Recording, send},
        trees::wide,
    },
};

/// Jobs with all that the store has of them, by the kind of the row and its key.
type Rows = BTreeMap<(JobId, String), String>;

fn take_up(rows: &mut Rows, row: Row) {
    let Some(id) = row.job() else { return };
    let (key, value) = match row {
        Row::Job { origin, definition, .. } => {
            rows.insert((id, "origin".into()), format!("{origin:?}"));
            ("definition".into(), format!("{definition:?}"))
        }
        Row::Definition { definition, .. } => ("definition".into(), format!("{definition:?}")),
        Row::Status { status, .. } => ("status".into(), format!("{status:?}")),
        Row::Change { number, change, .. } => (format!("change {number}"), format!("{change:?}")),
        Row::LogLine { line, .. } => (format!("line {}", line.line), format!("{line:?}")),
        Row::Repeat { key, row, .. } => (format!("repeat {key:?}"), format!("{row:?}")),
        Row::FollowUp { key, row, .. } => (format!("follow-up {key:?}"), format!("{row:?}")),
        Row::Attachment { key, text: None, .. } => {
            rows.remove(&(id, format!("attachment {key}")));
            return;
        }
        Row::Attachment { key, text, .. } => (format!("attachment {key}"), format!("{text:?}")),
        Row::TreeResult { .. } | Row::Deleted { .. } => return,
    };
    rows.insert((id, key), value);
}

async fn version(store: &dyn Store, root: JobId) -> Version {
    let wanted = Wanted { paths: HashSet::from([root]), ..Wanted::default() };
    let loaded = store.look_up(wanted).await.unwrap();
    loaded.versions.get(&root).copied().unwrap_or(0)
}

/// A tree at one version; without rows if it is not there.
async fn read(store: &dyn Store, root: JobId) -> (Version, Rows) {
    loop {
        let (at, mut rows, mut after) = (version(store, root).await, Rows::new(), None);
        if at == 0 {
            return (at, rows);
        }
        loop {
            let query = RowsQuery { root, after, limit: PageLimit::items(1_000) };
            let page = store.list_rows(query).await.unwrap();
            page.items.into_iter().for_each(|row| take_up(&mut rows, row));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if version(store, root).await == at {
            return (at, rows);
        }
    }
}

/// A listener, and the trees as it knows them.
struct Follower {
    listener: Listener,
    scope: Scope,
    trees: BTreeMap<JobId, (Version, Rows)>,
    /// Reads the events only at the end.
    is_slow: bool,
    moves: Vec<MoveReason>,
}

impl Follower {
    async fn start(engine: &Engine, store: &dyn Store, scope: Scope, is_slow: bool) -> Self {
        let listener = engine.listen(scope).unwrap();
        let trees = BTreeMap::new();
        let mut follower = Self { listener, scope, trees, is_slow, moves: Vec::new() };
        if let Some(root) = follower.root() {
            follower.read(store, root).await;
        }
        follower
    }

    fn root(&self) -> Option<JobId> {
        match self.scope {
            Scope::All => None,
            Scope::Tree(root) | Scope::Job { root, .. } => Some(root),
        }
    }

    async fn read(&mut self, store: &dyn Store, root: JobId) {
        let read = read(store, root).await;
        if self.root().is_some() {
            self.listener.begin_at(read.0);
        }
        self.trees.insert(root, read);
    }

    /// Takes up an event.
    async fn hear(&mut self, store: &dyn Store, event: FeedEvent) {
        let Some((root, from, to)) = event.span() else {
            self.moves.push(MoveReason::Slow);
            self.trees.clear();
            return;
        };
        assert!(from < to && self.root().is_none_or(|own| own == root), "{event:?}");
        let known = self.trees.get(&root).map(|(at, _)| *at);
        match event {
            FeedEvent::Moved { reason, .. } => {
                self.moves.push(reason);
                self.read(store, root).await;
            }
            // A listener to all trees may have read more than the next event tells.
            FeedEvent::Committed(_) if known.is_some_and(|at| at >= to) => {
                assert_eq!(self.scope, Scope::All);
            }
            FeedEvent::Committed(_) if known.is_none() && from > 0 => {
                self.read(store, root).await;
            }
            FeedEvent::Committed(commit) => {
                assert!(commit.rows.is_sorted_by(|one, next| one.0 < next.0));
                let is_whole = !matches!(self.scope, Scope::Job { .. });
                if is_whole {
                    assert_eq!((known.unwrap_or(0), commit.rows[0].0), (from, 0));
                }
                let (at, rows) = self.trees.entry(root).or_default();
                *at = to;
                commit.rows.iter().for_each(|(_, row)| take_up(rows, row.clone()));
            }
            FeedEvent::Skipped(_) => unreachable!("it has no span"),
        }
    }

    /// Takes up what has been told, and asserts that it is what the store has.
    async fn catch_up(&mut self, store: &dyn Store) {
        while let Some(event) = next(&mut self.listener) {
            self.hear(store, event).await;
        }
        for (root, (at, rows)) in &self.trees {
            let (now, mut there) = read(store, *root).await;
            let mut rows = rows.clone();
            if let Scope::Job { id, .. } = self.scope {
                rows.retain(|(of, _), _| *of == id);
                there.retain(|(of, _), _| *of == id);
            } else {
                assert_eq!(*at, now, "{:?}", self.scope);
            }
            assert_eq!(rows, there, "{:?}", self.scope);
        }
    }
}

/// A job to pick, what to do, and how many more at the same time.
type Step = (Index, usize, bool);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<Index>(), 0..24usize, any::<bool>()), 1..most)
}

async fn act(engine: &Engine, at: JobId, root: JobId, what: usize, number: u64) {
    let text = format!("{number}");
    let repeatable = number.is_multiple_of(3).then(|| text.clone());
    match what {
        0..6 => {
            let change_id = repeatable;
            let change = NewChange { change_id, ..NewChange::new(REPORTED[what]).message(&text) };
            assert!(engine.update(at, change).await.unwrap().changes > 0);
        }
        6..12 => drop(engine.create(job(number, Some(at.get()))).await.unwrap()),
        12 => drop(engine.create(job(number, None)).await.unwrap()),
        13..15 => {
            let lines = NewLogLines { lines: vec![text; 3], append_id: repeatable };
            assert_eq!(engine.append_log(at, lines).await.unwrap().count, 3);
        }
        15..17 => drop(engine.put_attachment(at, "key".into(), text).await.unwrap()),
        // It may not be there.
        17 => drop(engine.delete_attachment(at, "key".into()).await),
        18 => engine.update_options(at, Some(text)).await.unwrap(),
        19..21 => {
            let target = HttpAction::new(format!("https://example.com/{text}"));
            let action = on(StateSet::FINISHED, target.into());
            // The job may be finished, or have as many as it may have.
            drop(engine.add_action(at, action).await);
        }
        _ => {
            let (time, child) = (Timestamp::MIN, id(number));
            let mut recording = Recording::default();
            recording.create(child, Some(at), root, time);
            recording.update(child, root, State::Faulted, time);
            drop(send(engine, &text, recording.records()).await.unwrap());
        }
    }
}

/// Takes the steps at the servers by turns, with listeners at the first one.
async fn run(ways: Vec<Arc<dyn Store>>, steps: &[Step]) {
    let start = |way: &Arc<dyn Store>| Engine::start(Arc::clone(way), options());
    let engines: Vec<_> = ways.iter().map(start).collect();
    let (engine, store, is_alone) = (&engines[0], &*ways[0], ways.len() == 1);
    // Trees, and jobs with their trees. The second tree is not there yet.
    let (mut jobs, mut followers) = (vec![(id(1), id(1)), (id(3), id(1))], Vec::new());
    engine.create(job(1, None)).await.unwrap();
    engine.create(job(3, Some(1))).await.unwrap();
    let scopes =
        [Scope::Tree(id(1)), Scope::Job { root: id(1), id: id(3) }, Scope::Tree(id(2)), Scope::All];
    for (number, (pick, what, with_next)) in steps.iter().enumerate() {
        if let Some(scope) = scopes.get(what % 7) {
            let is_slow = *with_next || !is_alone;
            followers.push(Follower::start(engine, store, *scope, is_slow).await);
        }
        let (mut acts, known) = (Vec::new(), jobs.len());
        for extra in 0..if *with_next { 4 } else { 1 } {
            let number = 10 * (number as u64 + 1) + extra;
            // The first new root is the one that has listeners already.
            let has_second = jobs.iter().any(|(_, root)| *root == id(2));
            let number = if *what == 12 && !has_second { 2 } else { number };
            let (at, root) = *pick.get(&jobs[..known]);
            let engine = &engines[number as usize % engines.len()];
            acts.push(act(engine, at, root, *what, number));
            match what {
                6..12 => jobs.push((id(number), root)),
                12 => jobs.push((id(number), id(number))),
                _ => {}
            }
        }
        join_all(acts).await;
        for follower in followers.iter_mut().filter(|follower| !follower.is_slow) {
            follower.catch_up(store).await;
            assert!(follower.moves.is_empty(), "{:?}", follower.moves);
        }
    }
    if !is_alone {
        // Other servers are looked at ten times a second.
        for follower in followers.iter_mut().filter(|it| matches!(it.scope, Scope::Tree(_))) {
            follower.reach(store).await;
        }
        followers.retain(|follower| matches!(follower.scope, Scope::Tree(_)));
    }
    for follower in &mut followers {
        follower.catch_up(store).await;
    }
    for engine in engines {
        engine.close().await;
    }
    store.close().await;
}

impl Follower {
    /// Takes up what is told until it knows the tree as it is.
    async fn reach(&mut self, store: &dyn Store) {
        let root = self.root().unwrap();
        while self.trees[&root].0 < version(store, root).await {
            let event = tokio::time::timeout(LONG, self.listener.next()).await;
            self.hear(store, event.expect("it is told").unwrap()).await;
        }
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn on_the_memory_store(steps in steps(60)) {
        block_on(run(vec![Arc::new(MemoryStore::new())], &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn on_the_embedded_store(steps in steps(60)) {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        block_on(run(vec![Arc::new(store)], &steps));
    }

    #[test]
    fn at_two_servers(steps in steps(30)) {
        let store = Arc::new(MemoryStore::new());
        let way = |_| -> Arc<dyn Store> { Gate::far(&store, Duration::from_millis(1)) };
        block_on(run((0..2).map(way).collect(), &steps));
    }
}

/// The next event, if it has been told.
fn next(listener: &mut Listener) -> Option<FeedEvent> {
    unconstrained(listener.next()).now_or_never().map(Option::unwrap)
}

fn told(listener: &mut Listener) -> Vec<FeedEvent> {
    std::iter::from_fn(|| next(listener)).collect()
}

#[tokio::test]
async fn who_is_slow_is_told_what_is_missing() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let mut slow = Follower::start(&engine, &*store, Scope::Tree(id(1)), true).await;
    let job_scope = Scope::Job { root: id(1), id: id(1) };
    let mut of_job = Follower::start(&engine, &*store, job_scope, true).await;
    let mut all = engine.listen(Scope::All).unwrap();
    for _ in 0..1_200 {
        engine.update(id(1), NewChange::new(State::Running)).await.unwrap();
    }
    let events = told(&mut slow.listener);
    assert_eq!(events.len(), 1 + 64);
    assert!(matches!(
        events[0],
        FeedEvent::Moved { from: 1, to: 1_137, reason: MoveReason::Slow, .. }
    ));
    for (event, version) in events[1..].iter().zip(1_138..) {
        assert!(matches!(event, FeedEvent::Committed(commit) if commit.version == version));
    }
    of_job.catch_up(&*store).await;
    assert_eq!(of_job.moves, [MoveReason::Slow]);
    let events = told(&mut all);
    assert_eq!(events.len(), 1 + 1_024);
    assert!(matches!(events[0], FeedEvent::Skipped(176)), "{:?}", events[0]);
}

#[tokio::test]
async fn an_upload_of_many_jobs_is_told_in_one_event() {
    let (store, engine) = memory();
    engine.create(job(1_000, None)).await.unwrap();
    let mut tree = Follower::start(&engine, &*store, Scope::Tree(id(1_000)), false).await;
    let of_root = Scope::Job { root: id(1_000), id: id(1_000) };
    let mut of_root = Follower::start(&engine, &*store, of_root, false).await;
    let mut all = engine.listen(Scope::All).unwrap();
    send(&engine, "many", wide(1_000, 5_000, false).records()).await.unwrap();
    let events = told(&mut all);
    assert!(
        matches!(events[..], [FeedEvent::Moved { from: 1, to: 2, .. }]),
        "{} events",
        events.len()
    );
    for follower in [&mut tree, &mut of_root] {
        follower.catch_up(&*store).await;
        assert_eq!(follower.moves, [MoveReason::Upload]);
    }
    // A commit of many rows that were not staged.
    let children =
        (10_001..=11_000).map(|number| job(number, Some(1_000)).try_into().unwrap()).collect();
    engine.create_children(id(1_000), children).await.unwrap();
    for (follower, moves) in [(&mut tree, 2), (&mut of_root, 1)] {
        follower.catch_up(&*store).await;
        assert_eq!(follower.moves.len(), moves, "the row of the root alone is not large");
    }
    assert_eq!(tree.moves[1], MoveReason::Large);
}

#[tokio::test]
async fn who_begins_during_a_commit_is_told_to_read() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    // What is copied for this listener is not what the others are to be told.
    let _of_another_job = engine.listen(Scope::Job { root: id(1), id: id(2) }).unwrap();
    let creating = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.create(job(1, None)).await.unwrap() })
    };
    gate.came.acquire().await.unwrap().forget();
    let mut listener = engine.listen(Scope::Tree(id(1))).unwrap();
    let mut of_job = engine.listen(Scope::Job { root: id(1), id: id(1) }).unwrap();
    gate.open();
    creating.await.unwrap();
    for listener in [&mut listener, &mut of_job] {
        let events = told(listener);
        assert!(matches!(
            events[..],
            [FeedEvent::Moved { from: 0, to: 1, reason: MoveReason::Began, .. }]
        ));
    }
    // A commit that fails is not told of.
    *gate.failing.lock() = Some(jobtracker_store::Error::Unavailable("test".into()));
    engine.update(id(1), NewChange::new(State::Running)).await.unwrap_err();
    assert!(told(&mut listener).is_empty());
    engine.close().await;
    assert!(listener.next().await.is_none());
}

/// Two reports that share a commit are steps of their own.
#[tokio::test]
async fn a_wait_ends_with_a_state_that_lasted_less_than_a_commit() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    gate.permits.add_permits(1);
    engine.create(job(1, None)).await.unwrap();
    gate.came.acquire().await.unwrap().forget();
    let wanted: StateSet = [State::Running].into_iter().collect();
    let mut wait = Box::pin(engine.wait(id(1), wanted, LONG));
    assert!((&mut wait).now_or_never().is_none());
    let update = |state| engine.update(id(1), NewChange::new(state));
    let mut first = Box::pin(update(State::Warning));
    assert!((&mut first).now_or_never().is_none());
    // While it is in a commit, the others gather for the next one.
    gate.came.acquire().await.unwrap().forget();
    let mut others = join_all([State::Running, State::RanToCompletion].map(update));
    assert!((&mut others).now_or_never().is_none());
    gate.open();
    assert!(first.await.unwrap().applied && others.await.iter().all(Result::is_ok));
    let waited = wait.await.unwrap();
    assert_eq!((waited.reached, waited.state), (true, State::Running));
}

#[tokio::test]
async fn the_end_of_a_watched_tree_is_told() {
    let (_store, engine) = memory();
    engine.watch_end(id(1));
    engine.watch_end(id(2));
    engine.forget_end(id(2));
    for root in 1..=3 {
        engine.create(job(root, None)).await.unwrap();
        engine.create(job(10 + root, Some(root))).await.unwrap();
        engine.update(id(root), NewChange::new(State::RanToCompletion)).await.unwrap();
    }
    assert_eq!(engine.ended(), [], "their children are open");
    for child in 11..=13 {
        engine.update(id(child), NewChange::new(State::RanToCompletion)).await.unwrap();
    }
    engine.until_ended().await;
    assert_eq!(engine.ended(), [id(1)]);
    assert_eq!(engine.ended(), [], "it was told");
    engine.close().await;
}
