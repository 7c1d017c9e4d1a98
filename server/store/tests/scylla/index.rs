//! Lists of follow-ups by time: entries of commits that do not come true, and entries that are
//! added while other servers read and tidy up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jobtracker_model::{Progress, Timestamp};
use jobtracker_store::{
    Error, Health, IndexId, IndexQuery, Indexes, PageLimit, Store, Trees,
    scylla::{ScyllaOptions, ScyllaStore, testing::age_places},
};
use jobtracker_store_suite::{Forest, compare_indexes};
use scylla::client::session::Session;

use crate::{
    faulty::Faulty,
    proxy::Fault,
    space::{COMMIT, Space, commit, commit_soon, id, only},
};

const LIMIT: PageLimit = PageLimit { items: 100, bytes: 1 << 20, scan: 1_000 };
const MINUTE: i64 = 60_000;

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn impatient(options: &mut ScyllaOptions) {
    options.request_timeout = Duration::from_millis(500);
    options.resolve_timeout = Duration::from_millis(1_500);
}

/// How many rows these lists have.
async fn count(session: &Session, lists: [i8; 2]) -> usize {
    let mut count = 0;
    for list in lists {
        let cql = "SELECT slot FROM listing WHERE list = ? ALLOW FILTERING";
        let answer = session.query_unpaged(cql, (list,)).await.unwrap();
        count += answer.into_rows_result().unwrap().rows_num();
    }
    count
}

async fn places(session: &Session) -> usize {
    count(session, [9, 10]).await
}

/// Minutes with slots, also those of entries that were written late.
async fn minutes(session: &Session) -> usize {
    count(session, [11, 12]).await + count(session, [13, 14]).await
}

/// The lists are the same on every server, and as they should be.
async fn compare(stores: &[&Arc<ScyllaStore>], forest: &Forest) {
    for store in stores {
        compare_indexes(Arc::clone(store) as Arc<dyn Store>, forest, LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_a_stale_commit_go_when_the_tree_has_moved_on() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let mut forest = Forest::default();
    forest.root(1);
    forest.check(id(1), 0, time(5));
    commit(&one, only(&mut forest)).await.unwrap();

    let mut vain = forest.clone();
    vain.check(id(1), 1, time(3));
    vain.deliver(id(1), 0, Progress::Failed(time(4)));
    let vain = only(&mut vain);
    forest.append(id(1), &["a line"]);
    commit(&other, only(&mut forest)).await.unwrap();
    // The first store has not heard of that, so it writes the entries.
    let refused = commit(&one, vain).await;
    assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
    assert_eq!(places(&session).await, 3, "entries before a list is read");
    compare(&[&other, &one], &forest).await;
    assert_eq!(places(&session).await, 1, "entries afterwards");

    // Follow-ups that have moved on leave entries as well.
    for number in 0..5 {
        forest.check(id(1), 0, time(6 + number));
        commit(&one, only(&mut forest)).await.unwrap();
    }
    compare(&[&other, &one], &forest).await;
    assert_eq!(places(&session).await, 1, "entries of one check");
    for store in [one, other] {
        store.close().await;
    }
}

/// A commit that gets lost on the way leaves an entry in a tree that stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_in_a_tree_that_stands_still_goes_after_a_while() {
    let mut faulty = Faulty::new(impatient).await;
    let session = faulty.space.session().await;
    let (due, after) = faulty.changed(|forest| forest.check(id(1), 0, time(5)));
    commit(&faulty.store, due).await.unwrap();
    faulty.forest = after;
    let news: [fn(&mut Forest); 3] = [
        |forest| forest.check(id(1), 0, time(7)),
        |forest| {
            forest.child(2, 1);
            forest.deliver(id(2), 0, Progress::Failed(time(7)));
        },
        |forest| {
            forest.root(9);
            forest.check(id(9), 0, time(7));
            forest.deliver(id(9), 0, Progress::Waiting(time(8)));
        },
    ];
    for (round, news) in news.into_iter().enumerate() {
        let (due, _) = faulty.changed(news);
        faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
        let answer = commit(&faulty.store, due.clone()).await;
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{round}: {answer:?}");
        let left = places(&session).await;
        assert!(left > 1, "{round}: entries of a lost commit");
        compare(&[&faulty.other], &faulty.forest).await;
        assert_eq!(places(&session).await, left, "{round}: the commit may still come true");
        age_places(&session, 2).await;
        compare(&[&faulty.other], &faulty.forest).await;
        assert_eq!(places(&session).await, 1, "{round}: entries of a commit that cannot come true");
        // The held request arrives after all.
        faulty.proxy.clear();
        faulty.proxy.quiet().await;
        faulty.same_versions(round).await;
        compare(&[&faulty.other, &faulty.store], &faulty.forest).await;
    }
    // Its caller loads again and tries again.
    let (due, after) = faulty.changed(news[2]);
    commit_soon(&faulty.store, due).await;
    faulty.forest = after;
    compare(&[&faulty.other, &faulty.store], &faulty.forest).await;
    faulty.finish().await;
}

/// The outcome of a commit is unknown, and it comes true before a fence stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_of_a_commit_that_comes_late_stays() {
    for minutes_ago in [0, 2, 30] {
        let mut faulty = Faulty::new(impatient).await;
        let session = faulty.space.session().await;
        let (due, after) = faulty.changed(|forest| {
            forest.child(2, 1);
            forest.check(id(2), 0, time(7));
            forest.deliver(id(1), 0, Progress::Failed(time(8)));
        });
        faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
        let answer = commit(&faulty.store, due).await;
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
        compare(&[&faulty.other], &faulty.forest).await;
        age_places(&session, minutes_ago).await;
        faulty.proxy.clear();
        faulty.proxy.quiet().await;
        faulty.forest = after;
        compare(&[&faulty.other, &faulty.store, &faulty.other], &faulty.forest).await;
        assert_eq!(places(&session).await, 2, "entries of a late commit");
        faulty.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_minute_without_places_goes_and_may_come_again() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let mut forest = Forest::default();
    forest.root(1);
    let now = cluster_now(&session).await;
    for round in 0..3 {
        // One entry that was late, and one in time.
        forest.check(id(1), 0, time(7));
        forest.deliver(id(1), 0, Progress::Waiting(time(now)));
        forest.deliver(id(1), 1, Progress::Failed(time(now)));
        commit(&one, only(&mut forest)).await.unwrap();
        compare(&[&other, &one], &forest).await;
        assert_eq!(places(&session).await, 3, "{round}: entries");
        age_places(&session, 60).await;
        compare(&[&other, &one], &forest).await;
        assert_eq!((places(&session).await, minutes(&session).await), (3, 3), "{round}");
        forest.check_made(id(1), 0, time(9));
        for number in 0..2 {
            forest.deliver(id(1), number, Progress::Delivered(time(9)));
        }
        commit(&one, only(&mut forest)).await.unwrap();
        // First the entries go, then their minutes.
        for store in [&one, &other] {
            compare(&[store], &forest).await;
        }
        assert_eq!((places(&session).await, minutes(&session).await), (0, 0), "{round}");
    }
    // A minute that is young stays although it is empty.
    forest.check(id(1), 0, time(7));
    commit(&one, only(&mut forest)).await.unwrap();
    forest.check_made(id(1), 0, time(9));
    commit(&one, only(&mut forest)).await.unwrap();
    for _ in 0..2 {
        compare(&[&other, &one], &forest).await;
    }
    assert_eq!((places(&session).await, minutes(&session).await), (0, 1), "a young minute");
    for store in [one, other] {
        store.close().await;
    }
}

/// The time by the clock of the cluster.
async fn cluster_now(session: &Session) -> i64 {
    let cql = "SELECT toUnixTimestamp(now()) FROM system.local";
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    answer.first_row::<(i64,)>().unwrap().0
}

/// More entries in a minute, and more minutes, than one answer of the cluster has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_places_and_many_minutes() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let now = cluster_now(&session).await;
    let mut forest = Forest::default();
    forest.root(1);
    for number in 0..700 {
        let at = time(now / MINUTE * MINUTE + i64::from(number % 3));
        forest.deliver(id(1), number, Progress::Waiting(at));
    }
    commit(&one, only(&mut forest)).await.unwrap();
    // The same entries again, and some that have gone.
    for number in 0..350 {
        let at = time(now / MINUTE * MINUTE + i64::from(number % 3));
        let is_there = number % 5 > 0;
        let progress = if is_there { Progress::Waiting(at) } else { Progress::Delivered(at) };
        forest.deliver(id(1), number, progress);
    }
    commit(&other, only(&mut forest)).await.unwrap();
    assert!(places(&session).await > 900, "entries of many follow-ups");
    compare(&[&one, &other], &forest).await;

    forest.root(17);
    for number in 0..600 {
        // Of the same part; behind now and before, a minute for each.
        let at = now + (i64::from(number) - 300) * MINUTE;
        forest.check(id(17), number, time(at));
    }
    commit(&one, only(&mut forest)).await.unwrap();
    compare(&[&other], &forest).await;
    age_places(&session, 10).await;
    compare(&[&one], &forest).await;
    for store in [one, other] {
        store.close().await;
    }
}

/// Entries of one minute that were written late are in slots of several minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_places_are_in_the_order_of_their_times() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let minute = cluster_now(&session).await / MINUTE - 60;
    let mut forest = Forest::default();
    for root in [1, 17, 33] {
        forest.root(root);
    }
    for number in 0..12 {
        for root in [33, 1, 17] {
            let at = minute * MINUTE + i64::from(number) * 7 % 11;
            forest.check(id(root), number, time(at));
            forest.deliver(id(root), number, Progress::Failed(time(at + 3)));
            // These are far apart, and come between the others when times are read back.
            let far = (minute - i64::from(number % 3)) * MINUTE;
            forest.deliver(id(root), 20 + number, Progress::Waiting(time(far)));
        }
        for answer in one.commit(forest.commits()).await {
            answer.unwrap();
        }
        age_places(&session, 1).await;
    }
    compare(&[&one, &other], &forest).await;
    for items in [1, 2, 7] {
        let limit = PageLimit { items, ..LIMIT };
        compare_indexes(Arc::clone(&other) as Arc<dyn Store>, &forest, limit).await;
    }
    for store in [one, other] {
        store.close().await;
    }
}

/// A reader that reads while commits come removes no entry of theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_to_those_who_read_meanwhile() {
    let space = Space::new().await;
    let (one, other) = (space.open().await, space.open().await);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = [Arc::clone(&other), Arc::clone(&other), Arc::clone(&one)].map(|store| {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let mut lists = 0;
            while !is_over.load(Ordering::Relaxed) {
                for part in 0..4 {
                    let (from, until) = (Timestamp::MIN, Timestamp::MAX);
                    let (index, after, limit) = (IndexId::Due, None, LIMIT);
                    let query = IndexQuery { index, part, from, until, after, limit };
                    store.list_index(query).await.unwrap();
                    lists += 1;
                }
            }
            lists
        })
    });
    let mut forest = Forest::default();
    for number in 0..100 {
        // A new tree in one of four parts, and a new job in an existing one.
        let root = 16 * (number + 1) + number % 4;
        forest.root(root);
        forest.check(id(root), 0, time(7));
        if number > 4 {
            let (child, parent) = (100_000 + number, 16 * (number - 3) + number % 4);
            forest.child(child, parent);
            forest.check(id(child), 0, time(9));
            forest.check(id(parent), 0, time(8));
        }
        for answer in one.commit(forest.commits()).await {
            answer.unwrap();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    compare(&[&one, &other], &forest).await;
    for store in [one, other] {
        store.close().await;
    }
}

/// Entries of one minute are in four slots by their jobs, so that a slot stays small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_one_minute_are_divided_by_their_jobs() {
    let space = Space::new().await;
    let (session, one, other) = (space.session().await, space.open().await, space.open().await);
    let now = cluster_now(&session).await + 10 * MINUTE;
    let mut forest = Forest::default();
    // All roots are of one part, with or without children.
    for root in (1..=64).map(|number| 16 * number + 1) {
        forest.root(root);
        forest.check(id(root), 0, time(now / MINUTE * MINUTE + root as i64 % 7));
        forest.deliver(id(root), 0, Progress::Failed(time(7)));
    }
    for child in 2_000..2_064 {
        forest.child(child, 17);
        forest.check(id(child), 0, time(now / MINUTE * MINUTE + child as i64 % 5));
    }
    for answer in one.commit(forest.commits()).await {
        answer.unwrap();
    }
    // One minute of due entries; failed entries may have been written in two.
    assert_eq!(slots(&session, 9).await, [32, 32, 32, 32]);
    assert_eq!(count(&session, [11, 12]).await, 4, "slots of a minute");
    let failed = slots(&session, 10).await;
    assert!((4..=8).contains(&failed.len()) && failed.iter().sum::<usize>() == 64, "{failed:?}");
    compare(&[&one, &other], &forest).await;

    // Slots that were always empty are not listed, and those that are empty later go one by one.
    age_places(&session, 60).await;
    for root in (1..=64).map(|number| 16 * number + 1).filter(|root| root / 16 % 4 > 0) {
        forest.check_made(id(root), 0, time(9));
    }
    for child in 2_000..2_064 {
        forest.check_made(id(child), 0, time(9));
    }
    for answer in one.commit(forest.commits()).await {
        answer.unwrap();
    }
    for store in [&other, &one, &other] {
        compare(&[store], &forest).await;
    }
    assert_eq!(slots(&session, 9).await, [16]);
    assert_eq!(count(&session, [11, 12]).await, 1, "slots of a minute that have something");
    for store in [one, other] {
        store.close().await;
    }
}

/// How many entries are in each slot of a list.
async fn slots(session: &Session, list: i8) -> Vec<usize> {
    let cql = "SELECT slot FROM listing WHERE list = ? ALLOW FILTERING";
    let answer = session.query_unpaged(cql, (list,)).await.unwrap().into_rows_result().unwrap();
    let mut slots: BTreeMap<i64, usize> = BTreeMap::new();
    for row in answer.rows::<(i64,)>().unwrap() {
        *slots.entry(row.unwrap().0).or_default() += 1;
    }
    slots.into_values().collect()
}
