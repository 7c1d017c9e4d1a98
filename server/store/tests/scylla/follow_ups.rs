//! Follow-ups in the tables.

use std::collections::BTreeSet;

use jobtracker_model::{Progress, Timestamp};
use jobtracker_store::Health;
use jobtracker_store_suite::Forest;
use scylla::client::session::Session;

use crate::space::{Space, commit, compare, id, only};

/// The parts in which deliveries are, and how many these are.
async fn parts(session: &Session) -> (BTreeSet<i32>, usize) {
    let cql = "SELECT part FROM history WHERE kind = 2 ALLOW FILTERING";
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    let parts = answer.rows::<(i32,)>().unwrap().map(|row| row.unwrap().0);
    (parts.collect(), answer.rows_num())
}

async fn details(session: &Session) -> BTreeSet<i8> {
    let answer = session.query_unpaged("SELECT kind FROM detail", ()).await.unwrap();
    let answer = answer.into_rows_result().unwrap();
    answer.rows::<(i8,)>().unwrap().map(|row| row.unwrap().0).collect()
}

/// A job may have more deliveries than one partition should have rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_kept_in_parts() {
    let space = Space::new().await;
    let session = space.session().await;
    let one = space.open_with(|options| options.tail_versions = 2).await;
    let other = space.open().await;
    let mut forest = Forest::default();
    forest.root(1);
    for number in 0..200 {
        let time = Timestamp::from_millis(i64::from(number)).unwrap();
        forest.deliver(id(1), number, Progress::Delivered(time));
    }
    forest.action(id(1), 0);
    forest.check_made(id(1), 0, Timestamp::MIN);
    commit(&one, only(&mut forest)).await.unwrap();
    for number in 0..8 {
        forest.deliver(id(1), number * 25, Progress::Failed(Timestamp::MIN));
        commit(&one, only(&mut forest)).await.unwrap();
    }
    compare(&[&one, &other], &forest).await;
    one.close().await;
    assert_eq!(parts(&session).await, ((0..7).collect(), 200), "what has left the log");
    assert_eq!(details(&session).await, [3, 4, 5].into(), "kinds of details");
    compare(&[&other], &forest).await;
    other.close().await;
}
