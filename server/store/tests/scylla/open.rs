//! Work that is listed before it begins: ended work is not read again, and abandoned work is tidied
//! up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_store::{Health, Trees, scylla::ScyllaStore};
use jobtracker_store_suite::{Forest, Staging};
use scylla::client::session::Session;
use tokio::time::sleep;

use crate::{
    faulty::{Faulty, stage_rows},
    proxy::Fault,
    space::{Space, commit, compare},
};

/// Long enough for a minute to be closed.
const AGO: i64 = 60;

/// Entries of a list, with their slots.
async fn listed(session: &Session, list: i8) -> Vec<(i64, i64, String)> {
    let cql = "SELECT slot, place, key FROM listing WHERE list = ? ALLOW FILTERING";
    let answer = session.query_unpaged(cql, (list,)).await.unwrap().into_rows_result().unwrap();
    answer.rows().unwrap().map(Result::unwrap).collect()
}

async fn open(session: &Session) -> usize {
    listed(session, 16).await.len()
}

async fn minutes(session: &Session) -> usize {
    listed(session, 17).await.len()
}

/// Makes everything that is open look as if it had been begun a while ago, even in another slot.
async fn move_open(session: &Session, to: impl Fn(i64) -> (i8, i64)) {
    for (slot, place, key) in listed(session, 16).await {
        let cql = "SELECT body FROM listing WHERE list = 16 AND slot = ? AND place = ? AND key = ?";
        let answer = session.query_unpaged(cql, (slot, place, &key)).await.unwrap();
        let (body,): (Vec<u8>,) = answer.into_rows_result().unwrap().single_row().unwrap();
        let cql = "INSERT INTO listing (list, slot, place, key, body) VALUES (?, ?, ?, ?, ?)";
        let (list, there) = to(slot);
        session.query_unpaged(cql, (list, there, place, &key, body)).await.unwrap();
        let cql = "DELETE FROM listing WHERE list = 16 AND slot = ? AND place = ? AND key = ?";
        session.query_unpaged(cql, (slot, place, &key)).await.unwrap();
    }
}

async fn age(session: &Session) {
    move_open(session, |slot| (16, slot - AGO)).await;
    for (_, minute, _) in listed(session, 17).await {
        let cql = "DELETE FROM listing WHERE list = 17 AND slot = 0 AND place = ? AND key = ''";
        session.query_unpaged(cql, (minute,)).await.unwrap();
        let cql = "INSERT INTO listing (list, slot, place, key) VALUES (17, 0, ?, '')";
        session.query_unpaged(cql, (minute - AGO,)).await.unwrap();
    }
}

/// A tree with some jobs, in a stage of its number.
fn aside(forest: &mut Forest, number: u64) -> Staging {
    forest.root(number);
    (1..5).for_each(|child| forest.child(number + child, number));
    Staging::new(number, forest.commits().remove(0), 2)
}

/// Waits until it is so; the store works in the background.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn two(space: &Space) -> [Arc<ScyllaStore>; 2] {
    [space.open().await, space.open().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_is_read_until_everything_in_it_has_ended() {
    let space = Space::new().await;
    let session = space.session().await;
    let [one, other] = two(&space).await;
    let mut forest = Forest::default();
    let published = aside(&mut forest, 10);
    stage_rows(&one, &published).await.unwrap();
    commit(&one, published.commit).await.unwrap();
    let left = aside(&mut forest.clone(), 20);
    stage_rows(&one, &left).await.unwrap();
    until("what was published stays open", async || open(&session).await == 1).await;

    age(&session).await;
    assert_eq!(other.tidy().await.unwrap(), 0, "its server is there");
    assert_eq!((open(&session).await, minutes(&session).await > 0), (1, true));
    space.forget_servers(&session).await;
    assert_eq!(other.tidy().await.unwrap(), 1, "its server has gone");
    assert_eq!(other.tidy().await.unwrap(), 0);
    assert_eq!((open(&session).await, minutes(&session).await), (0, 0), "what is read next time");
    assert_eq!(listed(&session, 6).await, [], "calls of stages");
    compare(&[&other], &forest).await;
    for store in [one, other] {
        store.close().await;
    }
}

/// In one list of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_of_before_left_open_is_tidied_up() {
    let space = Space::new().await;
    let session = space.session().await;
    let [before, other] = two(&space).await;
    let mut forest = Forest::default();
    let left = aside(&mut forest, 10);
    stage_rows(&before, &left).await.unwrap();
    move_open(&session, |_| (5, 0)).await;
    let cql = "DELETE FROM listing WHERE list = 6 AND slot = 10 AND place = 0";
    session.query_unpaged(cql, ()).await.unwrap();
    assert_eq!(other.tidy().await.unwrap(), 0, "its server is there");
    let in_the_way = commit(&other, aside(&mut Forest::default(), 10).commit).await;
    assert!(in_the_way.is_err(), "the ids of a stage that may be published");
    space.forget_servers(&session).await;
    assert_eq!(other.tidy().await.unwrap(), 1, "its server has gone");
    assert_eq!(listed(&session, 5).await, []);
    assert_eq!(listed(&session, 6).await, []);
    compare(&[&other], &Forest::default()).await;
    for store in [before, other] {
        store.close().await;
    }
}

/// In a server that lives for months, these would pile up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_could_not_be_removed_is_removed_later_by_its_own_server() {
    let faulty = Faulty::new(|options| options.request_timeout = Duration::from_millis(300)).await;
    let session = faulty.space.session().await;
    let vain = aside(&mut faulty.forest.clone(), 10);
    stage_rows(&faulty.store, &vain).await.unwrap();
    faulty.proxy.inject("DELETE FROM job", Fault::LoseRequest, usize::MAX);
    faulty.store.discard(vain.id);
    until("it is not tried again", async || faulty.store.tidy().await.is_err()).await;
    faulty.proxy.clear();
    until("it stays open", async || {
        // The store may still wait for a request that was lost.
        let _ = faulty.store.tidy().await;
        open(&session).await == 0
    })
    .await;
    assert_eq!(listed(&session, 6).await, []);
    faulty.finish().await;
}
