//! Deleted trees: what a crash in the middle leaves, and what is left in the end.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use fjall::{Database, KeyspaceCreateOptions, Readable};
use jobtracker_model::{JobId, State, Timestamp};
use jobtracker_store::{
    Health, Jobs, PageLimit, Row, Servers, Store, Tombstone, TreeCommit, Trees,
    fjall::{FjallOptions, FjallStore},
};
use jobtracker_store_suite::{Forest, compare_indexes, compare_roots, compare_trees};

use crate::{disk, forest::id};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// The commit that deletes a tree.
async fn deletion(store: &dyn Store, root: u64) -> TreeCommit {
    let (expected, _) = store.commits_after(id(root), u64::MAX).await.unwrap();
    let status = store.get_job(id(root)).await.unwrap().unwrap().status;
    let jobs = status.subtree.total + 1;
    let tombstone = Tombstone { time: at(1), by: "anna".into(), jobs, until: at(2), summary: None };
    let rows = vec![Row::Deleted { root: id(root), created: status.create_time, tombstone }];
    TreeCommit { root: id(root), expected, rows, publishes: None }
}

/// A tree with this many jobs behind its root, on several levels, with rows of all kinds.
fn grow(forest: &mut Forest, root: u64, jobs: u64) {
    forest.root(root);
    for job in 1..=jobs {
        let parent = if job % 40 == 1 { 0 } else { (job - 1) / 40 * 40 + 1 };
        forest.child(root + job, root + parent);
        if job % 7 == 0 {
            forest.append(id(root + job), &["one line", "and another"]);
        }
        if job % 11 == 0 {
            forest.reports(State::Running, &[root + job]);
            forest.reports(State::Faulted, &[root + job]);
        }
    }
    forest.append(id(root), &["x"; 30]);
    forest.attach(id(root + 1), "a", Some("text"));
    forest.action(id(root + 2), 0);
}

/// The forest of these trees, in the store.
async fn plant(store: &FjallStore, trees: &[(u64, u64)]) -> Forest {
    let mut forest = Forest::default();
    trees.iter().for_each(|(root, jobs)| grow(&mut forest, *root, *jobs));
    for answer in store.commit(forest.commits()).await {
        answer.unwrap();
    }
    forest
}

async fn delete(store: &FjallStore, root: u64) {
    store.commit(vec![deletion(store, root).await]).await.remove(0).unwrap();
}

async fn until_removed(store: &FjallStore) {
    while store.removals() > 0 {
        // There is nothing to wait for but the number itself.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many rows each keyspace has, by the first byte of the key in `index`.
fn rows(directory: &Path) -> BTreeMap<String, usize> {
    let database = Database::builder(directory.join("db")).open().unwrap();
    let snapshot = database.snapshot();
    let mut rows = BTreeMap::new();
    for name in ["jobs", "origins", "history", "index"] {
        let keyspace = database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        for row in snapshot.iter(&keyspace) {
            let key = row.key().unwrap();
            let kind = if name == "index" { key[0].to_string() } else { String::new() };
            *rows.entry(format!("{name}{kind}")).or_default() += 1;
        }
    }
    rows
}

/// What is left of a tree are its version, its tombstone, and until when that is kept.
#[tokio::test]
async fn nothing_else_is_left_of_a_deleted_tree() {
    let [with, without] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (directory, deletes) in [(&with, true), (&without, false)] {
        let store = disk::open_small(directory.path()).unwrap();
        // The ids are below the next one that is given out.
        store.reserve_ids(20_000).await.unwrap();
        if deletes {
            plant(&store, &[(5_000, 700)]).await;
            delete(&store, 5_000).await;
        }
        plant(&store, &[(10, 100)]).await;
        until_removed(&store).await;
        store.close().await;
    }
    let (found, mut due) = (rows(with.path()), rows(without.path()));
    *due.get_mut("index0").unwrap() += 1;
    due.extend([("index10".to_owned(), 1), ("index11".to_owned(), 1)]);
    assert_eq!(found, due);
}

/// Ids that the store would come to later are not given out again.
#[tokio::test]
async fn ids_that_a_caller_chose_stay_used() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    plant(&store, &[(50, 100)]).await;
    delete(&store, 50).await;
    until_removed(&store).await;
    assert_eq!(store.reserve_ids(40).await.unwrap(), id(1));
    assert_eq!(store.reserve_ids(40).await.unwrap(), id(151));
    drop(store);
    let store = disk::open(directory.path()).unwrap();
    assert_eq!(store.reserve_ids(1).await.unwrap(), id(191));
    // A caller may choose one of them.
    let forest = plant(&store, &[(300, 5)]).await;
    assert_eq!(store.forget_tombstones(at(3), 9).await.unwrap(), 1);
    let mut again = forest;
    grow(&mut again, 50, 20);
    for answer in store.commit(again.commits()).await {
        answer.unwrap();
    }
    compare_trees(Arc::new(store), &again).await;
}

/// Copies of the files stand for what is there when the process is killed.
#[tokio::test]
async fn a_removal_goes_on_after_a_crash_at_any_step() {
    let (directory, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = disk::open(directory.path()).unwrap();
    store.reserve_ids(100_000).await.unwrap();
    let forest = plant(&store, &[(10, 60), (20_000, 12_000)]).await;
    let mut kept = Forest::default();
    grow(&mut kept, 10, 60);
    kept.commits();
    assert_eq!(forest.ids().count(), kept.ids().count() + 12_001);
    delete(&store, 20_000).await;
    let mut copies = Vec::new();
    while store.removals() > 0 && copies.len() < 8 {
        let image = images.path().join(copies.len().to_string());
        disk::copy(directory.path(), &image);
        copies.push(image);
    }
    assert!(!copies.is_empty(), "it was removed before it could be copied");
    until_removed(&store).await;
    store.close().await;
    drop(store);
    let due = rows(directory.path());
    for image in copies {
        let store = disk::open(&image).unwrap();
        assert_eq!(store.get_job(id(20_000)).await.unwrap(), None);
        assert_eq!(store.get_tombstone(id(20_000)).await.unwrap().unwrap().by, "anna");
        until_removed(&store).await;
        let store: Arc<dyn Store> = Arc::new(store);
        compare_trees(Arc::clone(&store), &kept).await;
        compare_roots(Arc::clone(&store), &kept).await;
        compare_indexes(Arc::clone(&store), &kept, PageLimit::items(1_000)).await;
        store.close().await;
        drop(store);
        assert_eq!(rows(&image), due, "{}", image.display());
    }
}

/// While commits follow each other a removal goes in their batches, also across a crash.
#[tokio::test]
async fn a_tree_is_removed_in_the_batches_of_other_commits() {
    let (directory, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = disk::open(directory.path()).unwrap();
    store.reserve_ids(100_000).await.unwrap();
    plant(&store, &[(20_000, 4_000)]).await;
    let removed = (20_000..=24_000).map(id).collect();
    let mut kept = plant(&store, &[(10, 60)]).await;
    delete(&store, 20_000).await;
    let (mut crashes, mut next) = (Vec::new(), 100);
    while store.removals() > 0 {
        kept.child(next, 10);
        next += 1;
        for answer in store.commit(kept.commits()).await {
            answer.unwrap();
        }
        // A copy is a pause, in which a removal has steps of its own.
        if crashes.len() < 3 && next.is_multiple_of(10) {
            let image = images.path().join(crashes.len().to_string());
            disk::copy(directory.path(), &image);
            crashes.push((image, kept.clone()));
        }
    }
    assert!(!crashes.is_empty(), "it was removed before it could be copied");
    store.close().await;
    drop(store);
    // Before another opening could go on with what is left.
    assert_eq!(disk::rows_of(directory.path(), &removed), 0);
    crashes.push((directory.path().to_owned(), kept));
    for (directory, kept) in crashes {
        let store: Arc<dyn Store> = Arc::new(disk::open(&directory).unwrap());
        while store.removals() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        compare_trees(Arc::clone(&store), &kept).await;
        compare_roots(Arc::clone(&store), &kept).await;
        store.close().await;
        drop(store);
        assert_eq!(disk::rows_of(&directory, &removed), 0, "{}", directory.display());
    }
}

/// Left alone, the engine would keep the rows until as much again has been written.
#[tokio::test]
async fn the_space_of_a_deleted_tree_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = FjallOptions::new(directory.path());
    options.write_buffer_bytes = 256 * 1024;
    let store = Arc::new(FjallStore::open(&options).unwrap());
    store.reserve_ids(100_000).await.unwrap();
    let gauge = |name| store.gauges().iter().find(|gauge| gauge.0 == name).unwrap().2;
    plant(&store, &[(20_000, 12_000)]).await;
    let forest = plant(&store, &[(10, 60)]).await;
    while gauge("store_sealed_buffers") > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let full = gauge("store_table_bytes");
    delete(&store, 20_000).await;
    let back = async {
        while gauge("store_removals") > 0 || gauge("store_table_bytes") > full / 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), back).await;
    assert!(waited.is_ok(), "of {full} bytes {} stay", gauge("store_table_bytes"));
    compare_trees(Arc::clone(&store) as Arc<dyn Store>, &forest).await;
    store.close().await;
    drop(store);
    let store: Arc<dyn Store> = Arc::new(FjallStore::open(&options).unwrap());
    compare_trees(Arc::clone(&store), &forest).await;
}

/// Commits one after the other while this goes on; answers how long they took, in order.
async fn commit_while(
    store: &FjallStore,
    forest: &mut Forest,
    goes_on: impl Fn() -> bool,
) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut next = forest.ids().map(JobId::get).max().unwrap() + 1;
    while goes_on() {
        for job in next..next + 20 {
            forest.child(job, 10);
        }
        next += 20;
        let commits = forest.commits();
        let begun = Instant::now();
        for answer in store.commit(commits).await {
            answer.unwrap();
        }
        took.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    took.sort();
    took
}

fn report(what: &str, took: &[Duration]) {
    let of = |share: usize| took[(took.len() - 1) * share / 1000];
    let (median, p99, most) = (of(500), of(990), of(1000));
    println!(
        "{what}: {} commits of 20 jobs, median {median:?}, p99 {p99:?}, most {most:?}",
        took.len()
    );
}

/// Not a test: prints how fast a large tree is removed, how long commits take meanwhile, and the
/// space before and after.
#[tokio::test]
#[ignore = "measures; takes minutes"]
async fn how_fast_and_how_much_space() {
    let jobs: u64 = std::env::var("JOBS").map_or(1_000_000, |jobs| jobs.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    store.reserve_ids(10_000_000).await.unwrap();
    let mut others = plant(&store, &[(10, 1_000)]).await;
    let sizes = |store: &FjallStore| {
        let gauges = store.gauges();
        let of = |name| gauges.iter().find(|gauge| gauge.0 == name).unwrap().2;
        (of("store_table_bytes"), of("store_journal_bytes"))
    };
    let mut forest = Forest::default();
    forest.root(3_000_000);
    for job in 1..=jobs {
        let parent = if job % 1_000 == 1 { 0 } else { (job - 1) / 1_000 * 1_000 + 1 };
        forest.child(3_000_000 + job, 3_000_000 + parent);
        if job % 10_000 == 0 || job == jobs {
            for answer in store.commit(forest.commits()).await {
                answer.unwrap();
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("tables and journals with {jobs} jobs: {:?}", sizes(&store));
    let begun = Instant::now();
    let calm = commit_while(&store, &mut others, || begun.elapsed().as_secs() < 10).await;
    report("before", &calm);
    let begun = Instant::now();
    delete(&store, 3_000_000).await;
    println!("gone in {:?}", begun.elapsed());
    if std::env::var("ALONE").is_ok() {
        until_removed(&store).await;
    } else {
        let meanwhile = commit_while(&store, &mut others, || store.removals() > 0).await;
        report("meanwhile", &meanwhile);
    }
    let removed = begun.elapsed();
    println!("removed in {removed:?}, {:.0} jobs/s", jobs as f64 / removed.as_secs_f64());
    let begun = Instant::now();
    let merging = commit_while(&store, &mut others, || begun.elapsed().as_secs() < 10).await;
    report("behind it", &merging);
    for second in [0_u64, 1, 5, 10, 20] {
        tokio::time::sleep(Duration::from_secs(second)).await;
        println!("after {second} s more: {:?}", sizes(&store));
    }
}
