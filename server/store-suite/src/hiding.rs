//! Staged rows are hidden, and take their ids.

use jobtracker_model::{State, StateSet};

use super::{
    Fixture,
    forest::{Forest, id},
    pages::{ALWAYS, NARROW, WIDE, filters},
    stage::Stage,
    staged::{Staging, is_stale},
};
use jobtracker_store::ChildrenQuery;

pub(super) async fn run(fixture: &impl Fixture) {
    a_new_tree(fixture).await;
    a_branch(fixture).await;
    long_runs(fixture).await;
    for root in [1, 1_000_000] {
        taken_ids(fixture, root).await;
    }
}

/// A tree with rows of every kind.
fn grow(forest: &mut Forest, first: u64) {
    for child in 1..12 {
        forest.child(first + child, first + child / 3);
    }
    forest.reports(State::RanToCompletion, &[first + 4, first + 5, first + 6, first + 7]);
    forest.reports(State::Faulted, &[first + 8, first + 9]);
    forest.report(id(first + 2), State::Running, Some("on its way".to_owned()));
    forest.append(id(first + 1), &["one", "two"]);
    forest.append(id(first + 11), &["three"]);
}

async fn a_new_tree(fixture: &impl Fixture) {
    let mut stage = Stage::open("a new tree that is staged", fixture).await;
    stage.forest.root(10);
    stage.forest.child(11, 10);
    stage.commit().await;
    let (staging, forest) = stage.parted(1, 3, |forest| {
        forest.root(100);
        grow(forest, 100);
        forest.attach(id(103), "a", Some("text"));
    });
    for rows in &staging.calls {
        let answer = stage.put(&staging, rows).await;
        stage.ok("rows that are staged", answer);
        stage.unseen(&staging.ids()).await;
        stage.compare().await;
        // Other trees go on meanwhile.
        let next = stage.forest.jobs.len() as u64 + 10;
        stage.forest.child(next, 10);
        stage.commit().await;
        stage.unseen(&staging.ids()).await;
    }
    stage.ok("a publication", stage.publish(&staging).await);
    stage.join(forest, id(100));
    stage.compare_pages().await;
    stage.finish(fixture).await;
}

/// New jobs below existing jobs.
async fn a_branch(fixture: &impl Fixture) {
    let mut stage = Stage::open("a branch that is staged", fixture).await;
    stage.forest.root(1);
    for child in [5, 20, 300, 400] {
        stage.forest.child(child, 1);
    }
    stage.forest.reports(State::RanToCompletion, &[1, 20]);
    stage.commit().await;
    let (staging, forest) = stage.parted(7, 2, |forest| {
        for child in [2, 3, 6, 21, 22, 301, 500] {
            forest.child(child, 1);
            forest.child(child + 1000, child);
        }
        forest.child(7, 20);
        forest.reports(State::Faulted, &[1003, 3, 301]);
        forest.reports(State::RanToCompletion, &[1006, 6, 5]);
        forest.append(id(1), &["grown"]);
        forest.append(id(3), &["new"]);
    });
    stage.stage_rows(&staging).await;
    stage.unseen(&staging.ids()).await;
    stage.compare().await;
    stage.compare_pages().await;
    // Behind a hidden job, as behind any that does not exist.
    for after in [1, 2, 4, 6, 21, 22, 301, 399, 500, 501] {
        let (parent, states, after) = (id(1), StateSet::EMPTY, Some(id(after)));
        let query = ChildrenQuery { states, after, limit: WIDE, ..ChildrenQuery::of(parent) };
        let page = stage.store.list_children(query).await;
        let page = stage.ok("children behind a hidden one", page);
        let mut due = stage.forest.children(parent, states);
        due.retain(|job| Some(job.id) > after);
        stage.same_jobs("children behind a hidden one", &page.items, &due);
    }
    stage.ok("a publication", stage.publish(&staging).await);
    stage.forest = forest;
    stage.compare().await;
    stage.compare_pages().await;
    stage.finish(fixture).await;
}

/// Many hidden children between few visible ones, in runs and one by one.
async fn long_runs(fixture: &impl Fixture) {
    let mut stage = Stage::open("long runs of hidden jobs", fixture).await;
    stage.forest.root(1);
    for child in [100, 101, 5_000, 5_001, 9_000] {
        stage.forest.child(child, 1);
    }
    stage.forest.reports(State::Faulted, &[101, 5_001]);
    stage.forest.root(2);
    stage.commit().await;
    let runs = (2_000..5_000).chain(5_002..7_000).chain((7_000..8_400).step_by(2));
    let (staging, forest) = stage.parted(1, 1_000, |forest| {
        for child in (3..90).chain(runs) {
            forest.child(child, 1);
            if child % 3 == 0 {
                forest.reports(State::Faulted, &[child]);
            }
        }
    });
    let (other, _) = stage.parted(2, 50, |forest| {
        for child in 8_500..8_600 {
            forest.child(child, 2);
        }
    });
    stage.stage_rows(&staging).await;
    stage.stage_rows(&other).await;
    stage.compare().await;
    for limit in NARROW {
        stage.compare_lists(id(1), &filters(), limit).await;
        stage.compare_roots(ALWAYS, limit).await;
    }
    stage.ok("a publication", stage.publish(&staging).await);
    stage.forest = forest;
    stage.compare().await;
    stage.unseen(&other.ids()).await;
    stage.finish(fixture).await;
}

/// `root` is a root, before or behind the ids that are staged.
async fn taken_ids(fixture: &impl Fixture, root: u64) {
    let mut stage = Stage::open("ids of what is staged", fixture).await;
    stage.forest.root(root);
    stage.commit().await;
    let mut last = 0;
    let given = stage.reserve(3, &mut last).await;
    let (staging, forest) = stage.parted(1, 100, |forest| {
        for child in given + 1..given + 500 {
            forest.child(child, root);
        }
        forest.child(given + 505, root);
    });
    stage.stage_rows(&staging).await;
    for count in [1, 5, 1] {
        let first = stage.reserve(count, &mut last).await;
        let among = staging.ids().range(id(first)..=id(last)).next().copied();
        stage.same("a hidden id among those given out", &among, &None);
    }
    for taken in [given + 1, given + 250, given + 505] {
        let mut stranger = Forest::default();
        stranger.root(taken);
        for answer in stage.store.commit(stranger.commits()).await {
            stage.refused("a job with a hidden id", answer, is_stale(taken));
        }
        let mut stranger = Forest::default();
        stranger.root(taken);
        let other = Staging::new(taken, stranger.commits().remove(0), 9);
        let answer = stage.put(&other, &other.calls[0]).await;
        stage.refused("a hidden id in another stage", answer, is_stale(taken));
        stage.store.discard(other.id);
    }
    stage.ok("a publication", stage.publish(&staging).await);
    stage.forest = forest;
    stage.reserve(1, &mut last).await;
    stage.finish(fixture).await;
}
