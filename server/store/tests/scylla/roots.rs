//! Lists of roots: how they are spread, entries of earlier versions, and entries of roots that were
//! not created.

use std::{collections::BTreeMap, time::Duration};

use jobtracker_model::{JobId, Timestamp};
use jobtracker_store::{
    Error, Health, Jobs, Order, PageLimit, RootsQuery, Trees,
    scylla::{ScyllaOptions, ScyllaStore, testing::age_roots},
};
use jobtracker_store_suite::{Forest, Staging};
use scylla::client::session::Session;

use crate::{
    faulty::{Faulty, stage_rows},
    proxy::Fault,
    space::{COMMIT, Space, commit, commit_soon, compare, id},
};

/// Entries by slot.
async fn slots(session: &Session) -> BTreeMap<i64, usize> {
    let cql = "SELECT slot FROM listing WHERE list = 15 ALLOW FILTERING";
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    let mut slots = BTreeMap::new();
    for row in answer.rows::<(i64,)>().unwrap() {
        *slots.entry(row.unwrap().0).or_default() += 1;
    }
    slots
}

async fn entries(session: &Session) -> usize {
    slots(session).await.values().sum()
}

/// All roots in pages of that size.
async fn listed(store: &ScyllaStore, size: usize) -> Vec<JobId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (from, to, limit) = (Timestamp::MIN, Timestamp::MAX, PageLimit::items(size));
        let order = Order::Newest;
        let page = store.list_roots(RootsQuery { from, to, order, after, limit }).await.unwrap();
        found.extend(page.items.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn plant(store: &ScyllaStore, forest: &mut Forest, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| forest.root(number));
    for done in store.commit(forest.commits()).await {
        done.unwrap();
    }
}

/// With many roots a second a minute would otherwise be a partition of hundreds of thousands of
/// rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_of_a_minute_are_spread_over_partitions() {
    let space = Space::new().await;
    let (session, store) = (space.session().await, space.open().await);
    let mut forest = Forest::default();
    plant(&store, &mut forest, 1..161).await;
    let slots = slots(&session).await;
    assert!(slots.len() == 16 && slots.values().all(|count| *count == 10), "{slots:?}");
    let newest_first: Vec<JobId> = (1..161).rev().map(id).collect();
    for size in [1, 7, 100, 1_000] {
        assert_eq!(listed(&store, size).await, newest_first, "pages of {size}");
    }
    store.close().await;
}

/// One partition a minute, and no names.
async fn list_as_before(session: &Session) {
    let cql = "SELECT place, key FROM listing WHERE list = 15 ALLOW FILTERING";
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    for row in answer.rows::<(i64, String)>().unwrap() {
        let (place, key) = row.unwrap();
        let (minute, key) = (place / 60_000, key.split('/').next().unwrap());
        let cql = "INSERT INTO listing (list, slot, place, key) VALUES (?, ?, ?, ?)";
        session.query_unpaged(cql, (0_i8, minute, place, key)).await.unwrap();
        let day = minute / (24 * 60);
        session.query_unpaged(cql, (1_i8, day, minute, "")).await.unwrap();
        for slot in 0..16 {
            let cql = "DELETE FROM listing WHERE list = 15 AND slot = ?";
            session.query_unpaged(cql, (minute * 16 + slot,)).await.unwrap();
        }
        let cql = "DELETE FROM listing WHERE list = 1 AND slot = ? AND place = ? AND key > ''";
        session.query_unpaged(cql, (day, minute)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_of_before_has_listed_is_found() {
    let space = Space::new().await;
    let (session, before) = (space.session().await, space.open().await);
    let mut forest = Forest::default();
    plant(&before, &mut forest, 1..41).await;
    before.close().await;
    list_as_before(&session).await;
    assert_eq!(entries(&session).await, 0);

    // In the same minute, and beside them.
    let store = space.open().await;
    plant(&store, &mut forest, 41..81).await;
    assert_eq!(entries(&session).await, 40);
    let newest_first: Vec<JobId> = (1..81).rev().map(id).collect();
    for size in [1, 9, 1_000] {
        assert_eq!(listed(&store, size).await, newest_first, "pages of {size}");
    }
    compare(&[&store], &forest).await;
    store.close().await;
}

/// Slot, `place` and key of the entries that do not name their commit.
async fn unnamed(session: &Session) -> Vec<(i64, i64, String)> {
    let cql = "SELECT slot, place, key FROM listing WHERE list = 0 ALLOW FILTERING";
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    answer.rows().unwrap().map(Result::unwrap).collect()
}

/// Its root may be much older than the commit that brings it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_program_of_before_stays_until_it_is_proved_wrong() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let mut forest = Forest::default();
    forest.root(10);
    (11..13).for_each(|child| forest.child(child, 10));
    let slow = Staging::new(10, forest.commits().remove(0), 2);
    stage_rows(&one, &slow).await.unwrap();
    list_as_before(&session).await;
    assert!(listed(&other, 10).await.is_empty());
    let entries = unnamed(&session).await;
    assert_eq!(entries.len(), 1, "an upload that goes on");
    commit(&one, slow.commit).await.unwrap();
    assert_eq!(listed(&other, 10).await, [id(10)]);

    // Now that the root is there, an entry for another time is wrong for certain.
    let (slot, place, key) = &entries[0];
    let cql = "INSERT INTO listing (list, slot, place, key) VALUES (0, ?, ?, ?)";
    session.query_unpaged(cql, (slot, place - 1, key)).await.unwrap();
    assert_eq!(unnamed(&session).await.len(), 2);
    assert_eq!(listed(&other, 10).await, [id(10)]);
    assert_eq!(unnamed(&session).await, entries);
    compare(&[&other], &forest).await;
    one.close().await;
    other.close().await;
}

fn impatient(options: &mut ScyllaOptions) {
    options.request_timeout = Duration::from_millis(500);
    options.resolve_timeout = Duration::from_millis(1_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_roots_that_were_not_created_go() {
    let mut faulty = Faulty::new(impatient).await;
    let session = faulty.space.session().await;
    let (due, after) = faulty.changed(|forest| forest.child(2, 1));
    commit(&faulty.store, due).await.unwrap();
    faulty.forest = after;

    // The id is taken, so no root ever has it.
    let mut vain = Forest::default();
    vain.root(2);
    let refused = commit(&faulty.store, vain.commits().remove(0)).await;
    assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
    assert_eq!(entries(&session).await, 2);
    assert_eq!(listed(&faulty.other, 10).await, [id(1)]);
    assert_eq!(entries(&session).await, 1, "the entry of a child");

    // A commit that got lost: it may come true at first.
    let (due, after) = faulty.changed(|forest| forest.root(9));
    faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
    let lost = commit(&faulty.store, due.clone()).await;
    assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    assert_eq!(listed(&faulty.other, 10).await, [id(1)]);
    assert_eq!(entries(&session).await, 2, "it may still come true");
    age_roots(&session, 2).await;
    assert_eq!(listed(&faulty.other, 10).await, [id(1)]);
    assert_eq!(entries(&session).await, 1, "it cannot come true any more");
    faulty.proxy.clear();
    faulty.proxy.quiet().await;
    compare(&[&faulty.other, &faulty.store], &faulty.forest).await;

    // Its caller tries again.
    commit_soon(&faulty.store, due).await;
    faulty.forest = after;
    assert_eq!(listed(&faulty.other, 10).await, [id(9), id(1)]);
    faulty.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_root_stays_listed_while_it_may_be_published() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let mut forest = Forest::default();
    let aside = |forest: &mut Forest, number: u64| {
        forest.root(number);
        (2..5).for_each(|child| forest.child(number + child, number));
        Staging::new(number, forest.commits().remove(0), 2)
    };
    let published = aside(&mut forest, 10);
    stage_rows(&one, &published).await.unwrap();
    let dropped = aside(&mut forest.clone(), 20);
    stage_rows(&one, &dropped).await.unwrap();
    age_roots(&session, 60).await;
    assert!(listed(&other, 10).await.is_empty());
    assert_eq!(entries(&session).await, 2, "a slow upload is no dead one");

    one.discard(dropped.id);
    commit(&one, published.commit).await.unwrap();
    assert_eq!(listed(&other, 10).await, [id(10)]);
    one.close().await;
    assert_eq!(listed(&other, 10).await, [id(10)]);
    assert_eq!(entries(&session).await, 1, "the entry of a stage that was discarded");
    compare(&[&other], &forest).await;
    other.close().await;
}
