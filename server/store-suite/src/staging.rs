//! What becomes of a stage: published, discarded, or left open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jobtracker_model::{State, StateSet};

use super::{
    Fixture,
    forest::{Forest, id},
    pages::{ALWAYS, WIDE},
    stage::Stage,
    staged::{Staging, is_stale},
};
use jobtracker_store::{
    DescendantsQuery, Error, Order, Result, RootsQuery, Row, StageId, Store, TreeCommit,
};

pub(super) async fn run<F: Fixture>(fixture: &F) {
    refused(fixture).await;
    publications(fixture).await;
    statuses_last(fixture).await;
    discarded(fixture).await;
    stage_again(fixture).await;
    left_open(fixture).await;
    dropped(fixture).await;
    at_one_instant(fixture).await;
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_))
}

fn grow(number: u64) -> impl FnOnce(&mut Forest) {
    move |forest| {
        forest.child(number, 1);
        forest.append(id(number), &["new"]);
    }
}

async fn planted(phase: &'static str, fixture: &impl Fixture) -> Stage {
    let mut stage = Stage::open(phase, fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    stage.forest.root(5);
    stage.commit().await;
    stage
}

async fn refused(fixture: &impl Fixture) {
    let stage = planted("rows that cannot be staged", fixture).await;
    let (good, _) = stage.parted(1, 9, grow(10));
    let rows = &good.calls[0];
    let known = stage.forest.job(id(2)).clone();
    let (parent, status) = (known.origin.parent, known.status);
    let foreign = Row::Status { id: id(2), parent, before: None, status };
    let with_foreign: Vec<Row> = rows.iter().cloned().chain([foreign]).collect();
    let twice: Vec<Row> = rows.iter().chain(rows).cloned().collect();
    let is_job = |row: &&Row| matches!(row, Row::Job { .. });
    let headless: Vec<Row> = rows.iter().filter(|row| !is_job(row)).cloned().collect();
    for (number, rows) in [(2, with_foreign), (3, twice), (4, headless)] {
        let publishes = Some(StageId(number));
        let commit = TreeCommit { publishes, ..good.commit.clone() };
        let staging = Staging { id: StageId(number), calls: vec![], commit };
        let answer = stage.put(&staging, &rows).await;
        stage.refused(format_args!("the rows of stage {number}"), answer, is_stale(1));
        // Rows are missing in it now.
        let answer = stage.put(&staging, &[]).await;
        stage.refused("more for a stage that is not whole", answer, is_missing);
        stage.refused("a stage that is not whole", stage.publish(&staging).await, is_missing);
        stage.store.discard(staging.id);
    }
    stage.finish(fixture).await;
}

async fn publications(fixture: &impl Fixture) {
    let mut stage = planted("publications", fixture).await;
    let (staging, forest) = stage.parted(1, 9, grow(10));
    stage.refused("a stage that is not there", stage.publish(&staging).await, is_missing);
    stage.stage_rows(&staging).await;
    for expected in [0, staging.commit.expected + 1, u64::MAX] {
        let mut stale = staging.clone();
        stale.commit.expected = expected;
        stage.refused("a stale publication", stage.publish(&stale).await, is_stale(1));
        stage.unseen(&staging.ids()).await;
    }
    let mut other = staging.clone();
    other.commit.root = id(5);
    other.commit.expected = stage.forest.versions[&id(5)];
    other.commit.rows.clear();
    stage.refused("the stage of another tree", stage.publish(&other).await, is_missing);
    stage.compare().await;

    stage.ok("a publication", stage.publish(&staging).await);
    stage.forest = forest;
    stage.refused("a publication again", stage.publish(&staging).await, is_stale(1));
    let mut again = staging.clone();
    again.commit.expected += 1;
    again.commit.rows.clear();
    stage.refused("a stage that was published", stage.publish(&again).await, is_missing);
    stage.store.discard(staging.id);
    stage.compare().await;

    // Two at once: one is published, the other one is not.
    let (first, forest) = stage.parted(11, 1, |forest| {
        (100..120).for_each(|child| forest.child(child, 1));
    });
    let (second, _) = stage.parted(12, 1, |forest| {
        (200..220).for_each(|child| forest.child(child, 5));
    });
    for (one, other) in first.calls.iter().zip(&second.calls) {
        for (staging, rows) in [(&first, one), (&second, other)] {
            let answer = stage.put(staging, rows).await;
            stage.ok("one of two stages", answer);
        }
    }
    stage.ok("a publication", stage.publish(&first).await);
    stage.forest = forest;
    stage.unseen(&second.ids()).await;
    stage.finish(fixture).await;
}

/// A job may be staged without its status, which comes with the commit then.
async fn statuses_last(fixture: &impl Fixture) {
    let mut stage = planted("statuses that come with the publication", fixture).await;
    let (below, forest) = stage.parted(1, 9, |forest| {
        (10..40).for_each(|child| forest.child(child, [1, 10, 2][child as usize / 10 - 1]));
        forest.reports(State::Running, &[10, 20, 39]);
        forest.attach(id(11), "a", Some("text"));
    });
    let (tree, trees) = stage.parted(2, 9, |forest| {
        forest.root(50);
        (51..70).for_each(|child| forest.child(child, 50));
        forest.reports(State::Faulted, &[55]);
    });
    for staging in [below, tree] {
        let staging = staging.with_statuses_last();
        stage.stage_rows(&staging).await;
        stage.unseen(&staging.ids()).await;
        stage.ok("a publication", stage.publish(&staging).await);
        if staging.commit.root == id(1) {
            stage.forest = forest.clone();
        } else {
            stage.join(trees.clone(), id(50));
        }
        stage.compare().await;
    }
    // The same jobs go on like any others.
    stage.forest.reports(State::RanToCompletion, &[10, 56]);
    stage.commit().await;
    stage.finish(fixture).await;
}

async fn discarded(fixture: &impl Fixture) {
    let mut stage = planted("what is discarded", fixture).await;
    stage.store.discard(StageId(99));
    let several = |forest: &mut Forest| {
        forest.root(50);
        (51..90).for_each(|child| forest.child(child, child / 2 + 25));
        forest.reports(State::Faulted, &[60, 61]);
        (51..80).for_each(|child| forest.append(id(child), &["one", "two"]));
    };
    let (staging, _) = stage.parted(1, 4, several);
    stage.stage_rows(&staging).await;
    stage.store.discard(staging.id);
    stage.unseen(&staging.ids()).await;
    stage.refused("a stage that was discarded", stage.publish(&staging).await, is_missing);
    // As soon as its ids are free, they are like any others.
    let root = |forest: &mut Forest| {
        forest.root(50);
        forest.child(51, 50);
        forest.attach(id(51), "a", Some("text"));
    };
    stage.commit_once_free(root).await;
    stage.compare().await;
    stage.commit_once_free(|forest| (60..80).for_each(|child| forest.child(child, 51))).await;
    stage.compare_pages().await;
    stage.finish(fixture).await;
}

/// Discarded rows may be staged again at once: the call waits until the ids are free.
async fn stage_again(fixture: &impl Fixture) {
    let mut stage = planted("what is staged again", fixture).await;
    let several = |forest: &mut Forest| {
        forest.root(50);
        (51..600).for_each(|child| forest.child(child, 50));
        forest.reports(State::Running, &[51, 599]);
    };
    let (first, _) = stage.parted(1, 4, several);
    stage.stage_rows(&first).await;
    stage.store.discard(first.id);
    let (second, forest) = stage.parted(2, 3, several);
    stage.stage_rows(&second).await;
    stage.unseen(&second.ids()).await;
    stage.ok("a publication", stage.publish(&second).await);
    stage.forest = forest;
    stage.compare().await;
    stage.finish(fixture).await;
}

/// A process ends, and its stages are gone.
async fn left_open<F: Fixture>(fixture: &F) {
    let mut stage = planted("what a process leaves", fixture).await;
    let (staging, _) = stage.parted(1, 3, |forest| {
        (50..80).for_each(|child| forest.child(child, 1));
        forest.append(id(55), &["one", "two"]);
    });
    let (published, forest) = stage.parted(2, 3, |forest| {
        (80..99).for_each(|child| forest.child(child, 1));
    });
    stage.stage_rows(&staging).await;
    stage.stage_rows(&published).await;
    stage.ok("a publication", stage.publish(&published).await);
    stage.forest = forest;
    if F::DURABLE {
        stage = stage.reopen(fixture).await;
    } else {
        stage.store.discard(staging.id);
    }
    stage.unseen(&staging.ids()).await;
    stage.compare().await;
    stage.refused("a stage of before", stage.publish(&staging).await, |error| {
        matches!(error, Error::Stale { .. } | Error::Unavailable(_))
    });
    stage.commit_once_free(|forest| (50..80).for_each(|child| forest.child(child, 5))).await;
    stage.compare_pages().await;
    stage.finish(fixture).await;
}

/// A caller that gives up leaves a stage that is not whole, or one that has all rows.
async fn dropped(fixture: &impl Fixture) {
    let mut stage = planted("callers who give up staging", fixture).await;
    for round in 0..20 {
        let first = 100 + round * 100;
        let several = |forest: &mut Forest| {
            (first..first + 30).for_each(|child| forest.child(child, 1));
        };
        let (staging, forest) = stage.parted(round, 100, several);
        tokio::select! {
            biased;
            _ = stage.put(&staging, &staging.calls[0]) => {}
            () = async { for _ in 0..round % 4 { tokio::task::yield_now().await } } => {}
        }
        match stage.publish(&staging).await {
            Ok(()) => stage.forest = forest,
            answer => stage.refused("what was given up", answer, is_missing),
        }
        stage.store.discard(staging.id);
        stage.compare().await;
    }
    stage.finish(fixture).await;
}

/// New jobs in each round of the next phase.
const NEW: u64 = 60;

/// Readers find none of the new jobs or all of them, in lists and in numbers.
async fn at_one_instant(fixture: &impl Fixture) {
    const ROUNDS: u64 = 12;
    let mut stage = planted("readers during publications", fixture).await;
    let over = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let reader = |read: u64| {
        let (store, over, reads) =
            (Arc::clone(&stage.store), Arc::clone(&over), Arc::clone(&reads));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                if read == 0 {
                    look_below(&*store).await;
                } else {
                    look_at_roots(&*store).await;
                }
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        })
    };
    let readers = [reader(0), reader(1)];
    let mut round = 0;
    while round < ROUNDS || reads.load(Ordering::Relaxed) < 100 {
        if readers.iter().any(tokio::task::JoinHandle::is_finished) {
            break;
        }
        let first = 1_000 + round * 1_000;
        let (staging, forest) = stage.parted(round, 7, |forest| {
            (first..first + NEW).for_each(|child| forest.child(child, 1));
        });
        let root = first + 500;
        let (tree, trees) = stage.parted(round + 500_000, 7, |forest| {
            forest.root(root);
            (1..NEW).for_each(|child| forest.child(root + child, root));
        });
        stage.stage_rows(&staging).await;
        stage.stage_rows(&tree).await;
        stage.ok("a publication", stage.publish(&staging).await);
        stage.ok("a publication", stage.publish(&tree).await);
        stage.forest = forest;
        stage.join(trees, id(root));
        round += 1;
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        if let Err(panic) = reader.await {
            stage.fail(format_args!("a reader met something that never was: {panic}"));
        }
    }
    stage.finish(fixture).await;
}

fn sure<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("no answer: {error}"))
}

/// A job's list of children is as long as its numbers say, wherever a page ends.
async fn look_below(store: &dyn Store) {
    let before = sure(store.get_job(id(1)).await).map_or(0, |job| job.status.subtree.total);
    let (states, after) = (StateSet::EMPTY, None);
    let query = DescendantsQuery { of: id(1), states, after, limit: WIDE };
    let page = sure(store.list_descendants(query).await);
    if page.next.is_none() {
        let found = page.items.len() as u64;
        assert_eq!((found - 1) % NEW, 0, "children of 1 come {NEW} at a time");
        assert!(found >= before, "{found} children after {before}");
    }
}

/// A root is there with all its descendants.
async fn look_at_roots(store: &dyn Store) {
    let (from, to) = ALWAYS;
    let query = RootsQuery { from, to, order: Order::Newest, after: None, limit: WIDE };
    for root in sure(store.list_roots(query).await).items {
        if root.id.get() < 1_000 {
            continue;
        }
        assert_eq!(root.status.subtree.total, NEW - 1, "children of {}", root.id);
        let (states, after) = (StateSet::EMPTY, None);
        let query = DescendantsQuery { of: root.id, states, after, limit: WIDE };
        let below = sure(store.list_descendants(query).await).items.len() as u64;
        assert_eq!(below, NEW - 1, "jobs below {}", root.id);
    }
}
