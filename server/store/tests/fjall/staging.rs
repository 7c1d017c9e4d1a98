//! Stages, when the process or the disk fails.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jobtracker_model::{JobId, Timestamp};
use jobtracker_store::{
    ChildrenQuery, Error, Health, Jobs, Order, PageLimit, RootsQuery, Row, StageId, Store,
    TreeCommit, Trees,
    fjall::{FjallOptions, FjallStore},
};

use crate::{
    disk,
    forest::{Tree, id},
};

/// A tree that is staged in calls of some rows, the jobs of each before their other rows, and
/// the commit that publishes it.
struct Staging {
    tree: Tree,
    calls: Vec<Vec<Row>>,
    commit: TreeCommit,
}

const STAGE: StageId = StageId(7);

impl Staging {
    fn new(root: u64, children: u64) -> Self {
        let mut tree = Tree::with_children(root, root + 1..=root + children);
        for _ in 0..3 {
            tree.log("one more line");
        }
        let commit = tree.commit();
        let (mut rows, rest): (Vec<_>, Vec<_>) =
            commit.rows.into_iter().partition(|row| row.job() != Some(tree.root));
        rows.sort_by_key(|row| (row.job(), !matches!(row, Row::Job { .. })));
        let calls = rows.chunks(100).map(<[Row]>::to_vec).collect();
        let commit = TreeCommit { rows: rest, publishes: Some(STAGE), ..commit };
        Self { tree, calls, commit }
    }

    async fn put(&self, store: &dyn Store) {
        for rows in &self.calls {
            store.stage(STAGE, self.tree.root, rows.clone()).await.unwrap();
        }
    }

    fn ids(&self) -> impl Iterator<Item = JobId> {
        let created = |row: &Row| matches!(row, Row::Job { .. }).then(|| row.job()).flatten();
        self.calls.iter().flatten().filter_map(created)
    }

    async fn is_unseen(&self, store: &dyn Store) {
        for id in self.ids() {
            assert_eq!(store.get_job(id).await.unwrap(), None);
        }
        let (from, to, order) = (Timestamp::MIN, Timestamp::MAX, Order::Newest);
        let query = RootsQuery { from, to, order, after: None, limit: PageLimit::items(100) };
        let roots = store.list_roots(query).await.unwrap().items;
        assert!(roots.iter().all(|root| root.id != self.tree.root), "{roots:?}");
    }
}

fn gauge(store: &dyn Store, name: &str) -> u64 {
    store.gauges().into_iter().find(|(of, ..)| *of == name).unwrap().2
}

/// Waits until no stage is left.
async fn cleaned(store: &dyn Store) {
    while gauge(store, "store_stages") > 0 {
        store.check().await.unwrap();
    }
}

/// After a crash nothing of the stage is visible, and in the end nothing of it is left.
#[tokio::test]
async fn a_crash_before_the_publication() {
    let directory = tempfile::tempdir().unwrap();
    let images = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    let mut tree = Tree::with_children(1, 2..40);
    tree.commit_to(&store).await.unwrap();
    let aside = Staging::new(1000, 900);
    for (round, rows) in aside.calls.iter().enumerate() {
        store.stage(STAGE, aside.tree.root, rows.clone()).await.unwrap();
        if round % 5 > 0 {
            continue;
        }
        let image = images.path().join(round.to_string());
        disk::copy(directory.path(), &image);
        let copy = disk::open(&image).unwrap();
        aside.is_unseen(&copy).await;
        tree.compare(&copy).await.unwrap();
        // Another crash, perhaps in the middle of the removal.
        let again = images.path().join(format!("{round}-again"));
        disk::copy(&image, &again);
        let copy = disk::open_small(&again).unwrap();
        aside.is_unseen(&copy).await;
        cleaned(&copy).await;
        aside.is_unseen(&copy).await;
        let mut other = Tree::with_children(1000, 1001..1900);
        other.commit_to(&copy).await.unwrap();
        other.compare(&copy).await.unwrap();
        tree.compare(&copy).await.unwrap();
    }
}

/// Ids are free after the removal, and no row is left of the jobs that had them.
#[tokio::test]
async fn nothing_is_left_of_what_was_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open_small(directory.path()).unwrap();
    let aside = Staging::new(1000, 900);
    aside.put(&store).await;
    assert_eq!(gauge(&store, "store_stages"), 1);
    assert_eq!(gauge(&store, "store_staged_jobs"), 900);
    store.discard(STAGE);
    cleaned(&store).await;
    assert_eq!(gauge(&store, "store_staged_jobs"), 0);
    // The same ids below another root: if a row were left, a list would meet half a job.
    let mut tree = Tree::with_children(999, 1001..1900);
    tree.commit_to(&store).await.unwrap();
    tree.compare(&store).await.unwrap();
    let mut root = Tree::new(1000);
    root.commit_to(&store).await.unwrap();
    for (parent, count) in [(999, 899), (1000, 0)] {
        let query = ChildrenQuery::of(id(parent));
        assert_eq!(store.list_children(query).await.unwrap().items.len(), count);
    }
    drop(store);
    let store = disk::open(directory.path()).unwrap();
    assert_eq!(gauge(&store, "store_stages"), 0);
    tree.compare(&store).await.unwrap();
}

#[tokio::test]
async fn a_crash_after_the_publication() {
    let directory = tempfile::tempdir().unwrap();
    let (origin, image) = (directory.path().join("origin"), directory.path().join("image"));
    let store = disk::open(&origin).unwrap();
    let aside = Staging::new(1000, 900);
    aside.put(&store).await;
    store.commit(vec![aside.commit.clone()]).await.remove(0).unwrap();
    disk::copy(&origin, &image);
    let copy = disk::open_small(&image).unwrap();
    aside.tree.compare(&copy).await.unwrap();
    assert_eq!(gauge(&copy, "store_stages"), 0);
    drop(copy);
    aside.tree.compare(&disk::open(&image).unwrap()).await.unwrap();
}

/// Every batch of a journal is whole before the next one is written, batches of stages too: so a
/// power cut never leaves a hole before a whole batch, which would look like damage.
#[tokio::test]
async fn a_power_cut_in_the_last_batch_of_a_stage() {
    let directory = tempfile::tempdir().unwrap();
    let origin = directory.path().join("origin");
    let store = disk::open(&origin).unwrap();
    let mut tree = Tree::with_children(1, 2..40);
    tree.commit_to(&store).await.unwrap();
    let aside = Staging::new(1000, 300);
    let (last, calls) = aside.calls.split_last().unwrap();
    for rows in calls {
        store.stage(STAGE, aside.tree.root, rows.clone()).await.unwrap();
    }
    let begin = disk::used(&disk::journal(&origin));
    store.stage(STAGE, aside.tree.root, last.clone()).await.unwrap();
    let end = disk::used(&disk::journal(&origin));
    for cut in [begin + 1, begin.midpoint(end), end - 1] {
        let copied = directory.path().join(cut.to_string());
        disk::copy(&origin, &copied);
        let file = std::fs::File::options().write(true).open(disk::journal(&copied)).unwrap();
        file.set_len(cut).unwrap();
        let copy = disk::open(&copied).unwrap();
        aside.is_unseen(&copy).await;
        tree.compare(&copy).await.unwrap();
        cleaned(&copy).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_would_be_staged() {
    let directory = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let mut options = FjallOptions::new(directory.path());
    let probed = Arc::clone(&free);
    options.free_space = Arc::new(move |_| Ok(probed.load(Ordering::Relaxed)));
    let store = FjallStore::open(&options).unwrap();
    let aside = Staging::new(1000, 900);
    let (first, rest) = aside.calls.split_first().unwrap();
    store.stage(STAGE, aside.tree.root, first.clone()).await.unwrap();
    free.store(0, Ordering::Relaxed);
    // An answer is good for a while, so the first ones may still get through.
    let mut refused = None;
    for rows in rest.iter().cycle() {
        if let Err(error) = store.stage(STAGE, aside.tree.root, rows.clone()).await {
            refused = Some(error);
            break;
        }
        while store.check().await.is_ok() {}
    }
    assert!(matches!(refused, Some(Error::Full(_))), "{refused:?}");
    let published = store.commit(vec![aside.commit.clone()]).await.remove(0);
    assert!(matches!(published, Err(Error::Full(_))), "{published:?}");
    store.discard(STAGE);
    aside.is_unseen(&store).await;
    // With nothing free it cannot be removed; with little it can, since that makes room.
    assert_eq!(gauge(&store, "store_stages"), 1);
    free.store(options.min_free_bytes * 7 / 4, Ordering::Relaxed);
    assert!(matches!(store.check().await, Err(Error::Full(_))));
    while gauge(&store, "store_stages") > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(store.check().await, Err(Error::Full(_))));
    free.store(u64::MAX, Ordering::Relaxed);
    let mut tree = Tree::with_children(1000, 1001..1900);
    tree.commit_to(&store).await.unwrap();
    tree.compare(&store).await.unwrap();
}

/// The engine's own threads cannot write their files any more.
#[tokio::test]
async fn a_disk_that_is_gone_refuses_what_would_be_staged() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open_small(directory.path()).unwrap();
    std::fs::rename(directory.path().join("db"), directory.path().join("gone")).unwrap();
    let aside = Staging::new(1000, 9_000);
    let mut refused = None;
    for rows in &aside.calls {
        if let Err(error) = store.stage(STAGE, aside.tree.root, rows.clone()).await {
            refused = Some(error);
            break;
        }
    }
    let ends = |error: &Error| matches!(error, Error::Unavailable(_) | Error::OutcomeUnknown(_));
    assert!(refused.as_ref().is_some_and(ends), "{refused:?}");
    store.discard(STAGE);
    assert!(matches!(store.check().await, Err(Error::Unavailable(_))));
    store.close().await;
}

/// Rows of a call that was answered may be missing then, though its owner goes on.
#[tokio::test]
async fn what_is_half_staged_when_the_engine_fails_can_only_be_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open_small(directory.path()).unwrap();
    let aside = Staging::new(100, 300);
    let (first, rest) = aside.calls.split_at(1);
    store.stage(STAGE, aside.tree.root, first[0].clone()).await.unwrap();
    let (db, gone) = (directory.path().join("db"), directory.path().join("gone"));
    std::fs::rename(&db, &gone).unwrap();
    let mut tree = Tree::new(1);
    while store.check().await.is_ok() {
        tree.log(&"x".repeat(4000));
        tree.commit_to(&store).await.ok();
    }
    std::fs::rename(gone, db).unwrap();
    while store.check().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(gauge(&store, "store_reopened"), 1);
    for rows in rest {
        let put = store.stage(STAGE, aside.tree.root, rows.clone()).await;
        assert!(matches!(put, Err(Error::Unavailable(_))), "{put:?}");
    }
    let published = store.commit(vec![aside.commit.clone()]).await.remove(0);
    assert!(matches!(published, Err(Error::Unavailable(_))), "{published:?}");
    aside.is_unseen(&store).await;
    store.discard(STAGE);
    cleaned(&store).await;
    // Under another name it is staged as a whole, with the same ids.
    aside.put(&store).await;
    store.commit(vec![aside.commit.clone()]).await.remove(0).unwrap();
    aside.tree.compare(&store).await.unwrap();
}

/// Stages many rows while others commit, with buffers so small that tables are written all the
/// time; then a part of the stages is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_go_on_beside_large_stages() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(disk::open_small(directory.path()).unwrap());
    let mut tasks = Vec::new();
    for number in 0..4_u64 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let root = 1_000_000 * (number + 1);
            let mut aside = Staging::new(root, 3_000);
            let stage = StageId(number);
            for rows in &aside.calls {
                store.stage(stage, aside.tree.root, rows.clone()).await.unwrap();
            }
            if number % 2 == 0 {
                aside.commit.publishes = Some(stage);
                store.commit(vec![aside.commit.clone()]).await.remove(0).unwrap();
            } else {
                store.discard(stage);
            }
            aside
        }));
    }
    let mut tree = Tree::with_children(1, 2..40);
    tree.commit_to(&*store).await.unwrap();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        tree.log("meanwhile");
        tree.commit_to(&*store).await.unwrap();
        tree.compare(&*store).await.unwrap();
    }
    for (number, task) in tasks.into_iter().enumerate() {
        let aside = task.await.unwrap();
        if number % 2 == 0 {
            aside.tree.compare(&*store).await.unwrap();
        } else {
            aside.is_unseen(&*store).await;
        }
    }
    cleaned(&*store).await;
    tree.compare(&*store).await.unwrap();
}
