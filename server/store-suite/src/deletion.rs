//! Deleted trees: gone at one instant, removed afterwards, remembered for a while.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jobtracker_model::{Definition, JobId, KeptFailure, Progress, State, StateSet};
use jobtracker_store::{
    DescendantsQuery, Error, FollowUpKey, Row, RowsQuery, Store, Summary, Tombstone, TreeCommit,
    Wanted,
};

use super::{
    Fixture,
    followed::time,
    forest::{Forest, id},
    kept::Kept,
    pages::WIDE,
    stage::Stage,
    staged::is_stale,
};

pub(super) async fn run(fixture: &impl Fixture) {
    one_of_three(fixture).await;
    opened_again_at_once(fixture).await;
    with_something_staged(fixture).await;
    under_readers(fixture).await;
    what_waits(fixture).await;
}

/// Of a tree with an even number of jobs, the summary is kept, with a failure.
fn tombstone(jobs: u64, root: &Kept) -> Tombstone {
    let by = "an admin".to_owned();
    let definition = Definition::clone(&root.definition);
    let failures = vec![KeptFailure {
        id: id(2),
        name: "failed".to_owned(),
        path: Vec::new(),
        time: time(900),
        message: Some("out of paper".to_owned()),
        reason_code: None,
    }];
    let summary = Summary { definition, status: root.status.clone(), failures };
    let summary = jobs.is_multiple_of(2).then(|| Arc::new(summary));
    Tombstone { time: time(1_000), by, jobs, until: time(4_000_000_000_000), summary }
}

impl Stage {
    /// The commit that deletes a tree; the forest is without it then.
    fn deletion(&mut self, root: u64) -> (TreeCommit, Tombstone, BTreeSet<JobId>) {
        let root = id(root);
        let of_tree = self.forest.jobs.iter().filter(|(_, job)| job.origin.root == root);
        let ids: BTreeSet<JobId> = of_tree.map(|(id, _)| *id).collect();
        let created = self.forest.job(root).status.create_time;
        let tombstone = tombstone(ids.len() as u64, self.forest.job(root));
        let expected = self.forest.versions.remove(&root).expect("the tree is there");
        self.forest.jobs.retain(|id, _| !ids.contains(id));
        let rows = vec![Row::Deleted { root, created, tombstone: tombstone.clone() }];
        (TreeCommit { root, expected, rows, publishes: None }, tombstone, ids)
    }

    async fn delete(&mut self, root: u64) -> (Tombstone, BTreeSet<JobId>) {
        let (commit, tombstone, ids) = self.deletion(root);
        let answer = self.store.commit(vec![commit]).await.remove(0);
        self.ok("a deletion", answer);
        (tombstone, ids)
    }

    /// Waits until no removal is under way, those that failed and are tried again included.
    async fn until_removed(&self) {
        const TRIES: usize = 20_000;
        for _ in 0..TRIES {
            if self.store.removals() == 0 {
                return;
            }
            // There is nothing to wait for but the number itself.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.fail("the rows of a deleted tree are not removed")
    }

    async fn has_tombstone(&self, root: u64, due: Option<&Tombstone>) {
        let got = self.store.get_tombstone(id(root)).await;
        let got = self.ok("a tombstone", got);
        self.same(format_args!("the tombstone of {root}"), &got.as_ref(), &due);
        let wanted = Wanted { tombstones: [id(root)].into(), ..Wanted::default() };
        let loaded = self.store.load(wanted).await;
        let loaded = self.ok("a load of a tombstone", loaded).tombstones;
        self.same("what is loaded of a tombstone", &loaded.get(&id(root)), &due);
    }

    /// Neither the deletion nor the creation of a deleted tree is done again.
    async fn stays_deleted(&self, root: u64, deletion: &TreeCommit) {
        let again = self.store.commit(vec![deletion.clone()]).await.remove(0);
        self.refused("a deletion that is sent again", again, is_stale(root));
        let mut anew = Forest::default();
        anew.root(root);
        let anew = self.store.commit(anew.commits()).await.remove(0);
        let is_refused = |error: &Error| is_stale(root)(error) || is_deleted(error, root);
        self.refused("a tree in the place of a deleted one", anew, is_refused);
    }
}

fn is_deleted(error: &Error, of: u64) -> bool {
    matches!(error, Error::IdDeleted(found) if *found == id(of))
}

/// Rows of every kind on three levels.
fn grow(forest: &mut Forest, first: u64) {
    forest.root(first);
    for child in 1..15 {
        forest.child(first + child, first + child / 3);
    }
    forest.report(id(first + 2), State::Running, Some("on its way".to_owned()));
    forest.reports(State::Faulted, &[first + 8, first + 9]);
    for _ in 0..40 {
        forest.report(id(first + 14), State::Warning, None);
    }
    forest.append(id(first + 1), &["one", "two"]);
    forest.append(id(first + 13), &["three"]);
    forest.attach(id(first + 3), "a", Some("text"));
    forest.set_options(id(first), Some("other".to_owned()));
    forest.action(id(first + 8), 0);
    forest.deliver(id(first + 8), 0, Progress::Failed(time(5)));
    forest.deliver(id(first + 8), 1, Progress::Delivered(time(6)));
}

async fn one_of_three(fixture: &impl Fixture) {
    let mut stage = Stage::open("one tree of three is deleted", fixture).await;
    for first in [100, 200, 300] {
        grow(&mut stage.forest, first);
    }
    stage.commit().await;
    stage.compare().await;
    // Otherwise it would prove nothing that none are left in the end.
    let all = stage.forest.ids().collect();
    let (store, rows) = fixture.reopen_and_count(stage.store, &all).await;
    stage.store = store;
    stage.holds("each job has a row where they are counted", rows >= all.len());
    stage.has_tombstone(300, None).await;
    let mut last = 0;
    stage.reserve(1, &mut last).await;
    let (commit, kept, ids) = stage.deletion(300);
    let answer = stage.store.commit(vec![commit.clone()]).await.remove(0);
    stage.ok("a deletion", answer);
    // At once, and when everything is removed.
    for _ in 0..2 {
        stage.unseen(&ids).await;
        stage.compare().await;
        stage.has_tombstone(300, Some(&kept)).await;
        stage.stays_deleted(300, &commit).await;
        stage.until_removed().await;
    }
    let first = stage.reserve(250, &mut last).await;
    let among = ids.range(id(first)..=id(last)).next().copied();
    stage.same("a deleted id among those given out", &among, &None);
    // The others go on.
    stage.forest.reports(State::RanToCompletion, &[100, 204]);
    stage.commit().await;
    stage.compare_pages().await;
    let mut stage = stage.reopen_without(fixture, &ids).await;
    stage.unseen(&ids).await;
    stage.compare().await;
    stage.has_tombstone(300, Some(&kept)).await;
    // Its root had the largest id of all.
    stage.stays_deleted(300, &commit).await;
    used_again(&mut stage).await;
    forgotten(stage, kept).await;
}

/// The id of a deleted child can be used again, or that is refused for good.
async fn used_again(stage: &mut Stage) {
    stage.forest.child(310, 100);
    let answer = stage.store.commit(stage.forest.commits()).await.remove(0);
    let is_final = answer.as_ref().err().is_none_or(|error| is_deleted(error, 310));
    stage.holds("the id of a deleted child is used again, or refused for good", is_final);
}

/// A store may forget tombstones by itself, when their time is over.
async fn forgotten(mut stage: Stage, kept: Tombstone) {
    let early = stage.store.forget_tombstones(kept.until, 10).await;
    stage.same("tombstones forgotten too early", &stage.ok("a sweep", early), &0);
    stage.has_tombstone(300, Some(&kept)).await;
    let later = time(4_000_000_000_001);
    let none = stage.store.forget_tombstones(later, 0).await;
    stage.same("tombstones forgotten past the limit", &stage.ok("a sweep", none), &0);
    let one = stage.store.forget_tombstones(later, 10).await;
    if stage.ok("a sweep", one) == 0 {
        return;
    }
    stage.has_tombstone(300, None).await;
    stage.forest.root(300);
    stage.commit().await;
    stage.compare().await;
}

async fn opened_again_at_once<F: Fixture>(fixture: &F) {
    let mut stage =
        Stage::open("a large deleted tree in a store that is opened again", fixture).await;
    stage.forest.root(1);
    stage.forest.root(2);
    for child in 0..F::BULK / 4 {
        let parent = if child % 50 == 0 { 1 } else { 10 + child / 50 * 50 };
        stage.forest.child(10 + child, parent);
    }
    stage.forest.child(5, 2);
    stage.commit().await;
    let (kept, ids) = stage.delete(1).await;
    let some: BTreeSet<JobId> = ids.iter().copied().step_by(ids.len() / 20).collect();
    stage.unseen(&some).await;
    let stage = stage.reopen(fixture).await;
    stage.unseen(&some).await;
    stage.compare().await;
    stage.until_removed().await;
    stage.unseen(&some).await;
    stage.has_tombstone(1, Some(&kept)).await;
    stage.reopen_without(fixture, &ids).await.finish(fixture).await;
}

async fn with_something_staged(fixture: &impl Fixture) {
    let mut stage = Stage::open("a tree is deleted while a branch is staged", fixture).await;
    grow(&mut stage.forest, 100);
    stage.forest.root(1);
    stage.commit().await;
    let (staging, _) = stage.parted(1, 2, |forest| {
        for child in [150, 151, 152] {
            forest.child(child, 103);
            forest.child(child + 10, child);
        }
    });
    stage.stage_rows(&staging).await;
    let (_, ids) = stage.delete(100).await;
    stage.refused("a branch of a deleted tree", stage.publish(&staging).await, is_stale(100));
    stage.store.discard(staging.id);
    stage.unseen(&ids).await;
    stage.until_removed().await;
    stage.unseen(&ids).await;
    stage.unseen(&staging.ids()).await;
    stage.reopen_without(fixture, &ids).await.finish(fixture).await;
}

/// Each page is of one instant: of the whole tree or of none.
async fn under_readers(fixture: &impl Fixture) {
    let mut stage = Stage::open("a tree is deleted under its readers", fixture).await;
    stage.forest.root(1);
    for child in 2..300 {
        stage.forest.child(child, child / 7 + 1);
    }
    stage.commit().await;
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(read(Arc::clone(&stage.store)))).collect();
    tokio::task::yield_now().await;
    let (_, ids) = stage.delete(1).await;
    for reader in readers {
        let pages = reader.await.expect("a reader does not panic");
        stage.holds("a reader sees all jobs or none", pages.iter().all(|jobs| *jobs == 298));
    }
    stage.until_removed().await;
    stage.reopen_without(fixture, &ids).await.finish(fixture).await;
}

/// The sizes of the pages up to the first that finds no tree.
async fn read(store: Arc<dyn Store>) -> Vec<usize> {
    let mut pages = Vec::new();
    loop {
        let query =
            DescendantsQuery { of: id(1), states: StateSet::EMPTY, after: None, limit: WIDE };
        match store.list_descendants(query).await {
            Ok(page) => pages.push(page.items.len()),
            Err(Error::UnknownJob(_)) => return pages,
            Err(error) => panic!("a reader of a tree that is deleted: {error}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn what_waits(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups of a tree that are still to be done", fixture).await;
    grow(&mut stage.forest, 100);
    stage.forest.root(1);
    stage.commit().await;
    let query = |root, after| RowsQuery { root: id(root), after, limit: WIDE };
    let none = stage.store.list_waiting(query(100, None)).await;
    stage.same("what waits", &stage.ok("what waits", none).items, &vec![]);
    let at = time(9_000);
    stage.forest.deliver(id(114), 0, Progress::Waiting(at));
    stage.forest.check_made(id(104), 0, at);
    stage.forest.check(id(104), 1, at);
    stage.forest.check(id(104), 2, at);
    stage.forest.check(id(100), 0, at);
    stage.commit().await;
    let (check, delivery) = (FollowUpKey::Check, FollowUpKey::Delivery);
    let due = [(id(100), check(0)), (id(104), check(1)), (id(114), delivery(0))];
    let got = stage.store.list_waiting(query(100, None)).await;
    stage.same("what waits", &stage.ok("what waits", got).items, &due.to_vec());
    let got = stage.store.list_waiting(query(100, Some(id(100)))).await;
    stage.same("what waits", &stage.ok("what waits", got).items, &due[1..].to_vec());
    let unknown = |error: &Error| matches!(error, Error::UnknownJob(_));
    let got = stage.store.list_waiting(query(999, None)).await;
    stage.refused("what waits in no tree", got, unknown);
    stage.finish(fixture).await;
}
