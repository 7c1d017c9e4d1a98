//! Several stores that commit to one tree at the same time.

use std::{collections::BTreeSet, sync::Arc};

use jobtracker_model::{LogLine, Timestamp};
use jobtracker_store::{
    Error, Health, Jobs, LogQuery, PageLimit, Row, TreeCommit, Trees, Wanted,
    scylla::{ScyllaOptions, ScyllaStore},
};
use jobtracker_store_suite::Forest;

use crate::space::{Space, commit, id, only};

/// Of each task.
const COMMITS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_commit_counts_once() {
    race(2, 3, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_commit_counts_once_among_checkpoints() {
    let tune = |options: &mut ScyllaOptions| {
        options.tail_versions = 2;
        options.tail_bytes = 1;
        options.tree_cache_bytes = 1;
    };
    race(3, 2, tune).await;
}

/// A server knows what another has committed for as long as it is in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_shows_what_another_has_committed() {
    let space = Space::new().await;
    let tune = |options: &mut ScyllaOptions| options.tail_versions = 8;
    let (here, there) = (space.open_with(tune).await, space.open_with(tune).await);
    let mut forest = Forest::default();
    let mut made = Vec::new();
    for number in 1..=30 {
        match number {
            1 => forest.root(1),
            _ => forest.child(number, 1),
        }
        made.push(only(&mut forest));
        commit(&here, made[made.len() - 1].clone()).await.unwrap();
        let (version, found) = there.commits_after(id(1), number - 1).await.unwrap();
        let [found] = &found[..] else { panic!("commit {number}: {found:?}") };
        assert_eq!((version, found.expected), (number, number - 1));
        assert_eq!(found.rows, made[made.len() - 1].rows);
    }
    let (version, found) = there.commits_after(id(1), 0).await.unwrap();
    assert_eq!((version, found.len()), (30, 0), "the first are in the tables");
    for store in [here, there] {
        store.close().await;
    }
}

/// Each task appends lines to one log, one by one, each computed from what it has loaded.
async fn race(stores: usize, tasks: usize, tune: fn(&mut ScyllaOptions)) {
    let space = Space::new().await;
    let mut open = Vec::new();
    for _ in 0..stores {
        open.push(space.open_with(tune).await);
    }
    let mut forest = Forest::default();
    forest.root(1);
    commit(&open[0], only(&mut forest)).await.unwrap();

    let mut working = Vec::new();
    for (number, store) in open.iter().enumerate() {
        for task in 0..tasks {
            let (store, name) = (Arc::clone(store), format!("store {number}, task {task}"));
            working.push(tokio::spawn(work(store, name)));
        }
    }
    let (mut done, mut in_doubt) = (BTreeSet::new(), BTreeSet::new());
    for task in working {
        let (its, doubt) = task.await.unwrap();
        done.extend(its);
        in_doubt.extend(doubt);
    }
    assert_eq!(done.len(), stores * tasks * COMMITS as usize, "acknowledged lines");
    open.push(space.open().await);
    for store in &open {
        let found = lines(store).await;
        let texts: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(texts.len(), found.len(), "lines that are there twice: {found:?}");
        let lost: Vec<_> = done.difference(&texts).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let more: BTreeSet<_> = texts.difference(&done).cloned().collect();
        assert!(more.is_subset(&in_doubt), "refused and there: {more:?}, {in_doubt:?}");
        let status = store.get_job(id(1)).await.unwrap().unwrap().status;
        assert_eq!(status.log_lines as usize, found.len(), "the number of lines");
        store.close().await;
    }
}

/// Answers the lines that were acknowledged, and those with an unknown outcome.
async fn work(store: Arc<ScyllaStore>, name: String) -> (Vec<String>, Vec<String>) {
    let (mut done, mut in_doubt) = (Vec::new(), Vec::new());
    let mut tries = 0_u32;
    while done.len() < COMMITS as usize {
        tries += 1;
        assert!(tries < COMMITS * 200, "{name} does not get on");
        let wanted = Wanted { paths: [id(1)].into(), ..Wanted::default() };
        let loaded = store.load(wanted).await.unwrap();
        let mut status = loaded.nodes[&id(1)].status.clone();
        let expected = loaded.versions[&id(1)];
        // The first version created it, and each other one adds a line.
        assert_eq!(u64::from(status.log_lines) + 1, expected, "{name} loads two instants");
        let text = format!("{name}, try {tries}");
        let time = Timestamp::from_millis(1_700_000_000_000).unwrap();
        let line = LogLine { line: status.log_lines, time, attempt: None, text: text.clone() };
        status.log_lines += 1;
        let before = Some(status.state);
        let rows = vec![
            Row::LogLine { id: id(1), line },
            Row::Status { id: id(1), parent: None, before, status },
        ];
        match commit(&store, TreeCommit { root: id(1), expected, rows, publishes: None }).await {
            Ok(()) => done.push(text),
            Err(Error::Stale { .. }) => {}
            Err(Error::OutcomeUnknown(_)) => in_doubt.push(text),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    (done, in_doubt)
}

async fn lines(store: &ScyllaStore) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let from = Some(found.len() as u32);
        let page = LogQuery { id: id(1), from, limit: PageLimit::items(20) };
        let page = store.list_log(page).await.unwrap();
        for line in page.items {
            assert_eq!(line.line as usize, found.len(), "lines without a gap");
            found.push(line.text);
        }
        if page.next.is_none() {
            return found;
        }
    }
}
