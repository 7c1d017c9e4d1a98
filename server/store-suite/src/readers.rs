//! Readers never see half a commit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jobtracker_model::{Children, JobId, State, StateSet, rollup::Status};
use tokio::task::JoinHandle;

use super::{
    Fixture,
    forest::{Forest, id},
    pages::WIDE,
    stage::Stage,
};
use jobtracker_store::{DescendantsQuery, Loaded, Result, Store, Wanted};

/// Jobs in the middle of each tree, and leaves below each of them.
const MIDDLES: u64 = 3;
const LEAVES: u64 = 5;
/// The tree that grows, and the one that keeps its size.
const GROWING: u64 = 1_000;
const STEADY: u64 = 2_000;

pub(super) async fn run(fixture: &impl Fixture) {
    let mut stage = Stage::open("readers during commits", fixture).await;
    for root in [GROWING, STEADY] {
        plant(&mut stage.forest, root);
    }
    stage.commit().await;
    let watch = Arc::new(Watch::default());
    let start = || (Arc::clone(&stage.store), Arc::clone(&watch));
    let readers = [
        tokio::spawn(read_descendants(start())),
        tokio::spawn(read_states(start())),
        tokio::spawn(read_paths(start())),
    ];
    write(&mut stage, &watch, &readers).await;
    watch.over.store(true, Ordering::Relaxed);
    for reader in readers {
        if let Err(panic) = reader.await {
            stage.fail(format_args!("a reader met something that never was: {panic}"));
        }
    }
    stage.finish(fixture).await;
}

/// What the writer and the readers know of each other.
#[derive(Default)]
struct Watch {
    reads: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    /// Counts a read; says whether there should be another one.
    async fn goes_on(&self) -> bool {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        !self.over.load(Ordering::Relaxed)
    }
}

fn middle(root: u64, index: u64) -> u64 {
    root + 100 * (index % MIDDLES + 1)
}

fn leaf(root: u64, index: u64) -> u64 {
    middle(root, index) + 1 + index / MIDDLES % LEAVES
}

fn plant(forest: &mut Forest, root: u64) {
    forest.root(root);
    for index in 0..MIDDLES {
        forest.child(middle(root, index), root);
    }
    for index in 0..MIDDLES * LEAVES {
        forest.child(leaf(root, index), middle(root, index));
    }
    // Own work is over but at the leaves: the states above follow from them alone.
    forest.reports(State::RanToCompletion, &[root]);
    for index in 0..MIDDLES {
        forest.reports(State::RanToCompletion, &[middle(root, index)]);
    }
}

/// Commits until there were enough commits and enough reads beside them.
async fn write(stage: &mut Stage, watch: &Watch, readers: &[JoinHandle<()>]) {
    const COMMITS: u64 = 120;
    const READS: u64 = 300;
    let states = [State::Running, State::RanToCompletion, State::Faulted, State::Warning];
    let mut round = 0;
    while round < COMMITS || watch.reads.load(Ordering::Relaxed) < READS {
        if readers.iter().any(JoinHandle::is_finished) {
            return;
        }
        for root in [GROWING, STEADY] {
            for index in [round * 7, round * 11 + 4] {
                let state = states.into_iter().cycle().nth((round + index) as usize % 7);
                stage.forest.reports(state.unwrap_or(State::Running), &[leaf(root, index)]);
            }
            stage.forest.append(id(root), &["one more"]);
        }
        if round.is_multiple_of(5) && round < COMMITS {
            stage.forest.child(GROWING + 10_000 + round, middle(GROWING, round));
        }
        stage.commit().await;
        round += 1;
        tokio::task::yield_now().await;
    }
}

type Start = (Arc<dyn Store>, Arc<Watch>);

/// The answer of a store that works.
fn sure<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("no answer: {error}"))
}

fn tally(states: impl IntoIterator<Item = State>) -> Children {
    let mut children = Children::default();
    for state in states {
        match state {
            State::RanToCompletion => children.successful += 1,
            State::Faulted => children.failed += 1,
            _ => children.pending += 1,
        }
    }
    children
}

/// The visible state of a job whose own work succeeded.
fn follows(children: &Children) -> State {
    match children {
        Children { pending: 1.., .. } => State::WaitingForChildrenToComplete,
        Children { failed: 1.., .. } => State::Faulted,
        _ => State::RanToCompletion,
    }
}

/// A page shows each job in the middle together with all its leaves.
async fn read_descendants((store, watch): Start) {
    while watch.goes_on().await {
        for root in [GROWING, STEADY] {
            let (states, after, limit) = (StateSet::EMPTY, None, WIDE);
            let query = DescendantsQuery { of: id(root), states, after, limit };
            let page = sure(store.list_descendants(query).await);
            assert_eq!(page.next, None, "all descendants are on one page");
            for index in 0..MIDDLES {
                let parent = id(middle(root, index));
                let below = page.items.iter().filter(|job| job.parent == Some(parent));
                let children = tally(below.map(|job| job.status.state));
                let job = page.items.iter().find(|job| job.id == parent);
                let status = &job.unwrap_or_else(|| panic!("job {parent} is gone")).status;
                expect_numbers(parent, status, &children);
            }
        }
    }
}

fn expect_numbers(id: JobId, status: &Status, children: &Children) {
    assert_eq!(status.children, *children, "the numbers of {id} are those of its children");
    assert_eq!(status.state, follows(children), "the state of {id} follows from its children");
    let below = &status.subtree;
    assert_eq!(
        (below.pending(), below.successful, below.failed),
        (children.pending, children.successful, children.failed),
        "the subtree numbers of {id} are those of its children"
    );
}

/// States of one tree that are asked for together are consistent.
async fn read_states((store, watch): Start) {
    let mut ids = vec![id(STEADY)];
    ids.extend((0..MIDDLES).map(|index| id(middle(STEADY, index))));
    ids.extend((0..MIDDLES * LEAVES).map(|index| id(leaf(STEADY, index))));
    while watch.goes_on().await {
        let states = sure(store.get_states(ids.clone()).await);
        let (above, leaves) = states.split_at(1 + MIDDLES as usize);
        let (root, middles) = (above[0], &above[1..]);
        assert_eq!(root, follows(&tally(middles.iter().copied())), "the state of the root");
        for (index, state) in middles.iter().enumerate() {
            let own = leaves.iter().skip(index).step_by(MIDDLES as usize);
            assert_eq!(*state, follows(&tally(own.copied())), "the state of job {index} below it");
        }
    }
}

/// Jobs that are loaded together are of one version.
async fn read_paths((store, watch): Start) {
    let leaves = |root| (0..MIDDLES).map(move |index| id(leaf(root, index)));
    let paths = leaves(GROWING).chain(leaves(STEADY)).collect();
    let wanted = Wanted { paths, ..Wanted::default() };
    while watch.goes_on().await {
        let loaded = sure(store.load(wanted.clone()).await);
        for root in [GROWING, STEADY] {
            expect_path(&loaded, root);
        }
    }
}

fn expect_path(loaded: &Loaded, root: u64) {
    let top = &loaded.nodes[&id(root)].status;
    // Each commit but the first appends one line to the root's log.
    let due = u64::from(top.log_lines) + 1;
    assert_eq!(loaded.versions[&id(root)], due, "the version belongs to the rows");
    let middles = (0..MIDDLES).map(|index| &loaded.nodes[&id(middle(root, index))].status);
    let children = tally(middles.clone().map(|status| status.state));
    assert_eq!(top.children, children, "the numbers of the root are those of its children");
    assert_eq!(top.state, follows(&children), "the state of the root follows from its children");
    let total: u64 = middles.map(|status| 1 + status.subtree.total).sum();
    assert_eq!(top.subtree.total, total, "the root knows how many are below it");
}
