//! Which of several servers has a part.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_store::{
    Health, Servers,
    scylla::{ScyllaOptions, ScyllaStore},
};
use tokio::time::sleep;

use crate::{proxy::Fault, space::Space};

const LONG: Duration = Duration::from_secs(600);
/// The shortest time: seconds are counted.
const SHORT: Duration = Duration::from_secs(1);

async fn takes(store: &ScyllaStore, part: &str, time: Duration) -> bool {
    store.lease(part, time).await.unwrap()
}

/// Asks until it has it.
async fn takes_soon(store: &ScyllaStore, part: &str, time: Duration) {
    let begin = Instant::now();
    while !takes(store, part, time).await {
        assert!(begin.elapsed() < SHORT * 20, "{part} stays leased");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn two(space: &Space) -> [Arc<ScyllaStore>; 2] {
    [space.open().await, space.open().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_of_one_server() {
    let space = Space::new().await;
    let [one, other] = two(&space).await;
    assert!(takes(&one, "sorting", LONG).await, "it was free");
    assert!(!takes(&other, "sorting", LONG).await, "two have it");
    assert!(takes(&one, "sorting", LONG).await, "it is kept");
    assert!(!takes(&other, "sorting", LONG).await, "two have it after it was kept");
    assert!(takes(&other, "washing", LONG).await, "another part");

    let (one_has, other_has) =
        tokio::join!(takes(&one, "ironing", LONG), takes(&other, "ironing", LONG));
    assert!(!(one_has && other_has), "both have it who asked at once");
    // Of two servers that lost to each other either may have it now, and keeps it.
    let one_has = takes(&one, "ironing", LONG).await;
    let other_has = takes(&other, "ironing", LONG).await;
    assert!(one_has != other_has, "one of the two has it");
    one.close().await;
    takes_soon(&other, "sorting", LONG).await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_has_expired_goes_to_another() {
    let space = Space::new().await;
    let [one, other] = two(&space).await;
    let first = one.reserve_ids(10).await.unwrap();
    // Kept for longer than it was taken for.
    assert!(takes(&one, "kept", SHORT).await);
    takes_soon(&one, "kept", LONG).await;
    assert!(takes(&one, "let go", SHORT).await);
    takes_soon(&other, "let go", LONG).await;
    assert!(!takes(&one, "let go", LONG).await, "who had it has it still");
    assert!(takes(&other, "let go", LONG).await, "the other does not keep it");
    // By now its first time has passed as well.
    assert!(!takes(&other, "kept", LONG).await, "it was not kept for long");
    assert!(takes(&one, "kept", LONG).await, "who kept it has it no longer");

    // Rows beside the leases do not expire: ids go on, and a store finds its tables.
    let fresh = space.open().await;
    let mut begins = vec![first.get()];
    for store in [&one, &other, &fresh] {
        begins.push(store.reserve_ids(10).await.unwrap().get());
    }
    begins.sort_unstable();
    assert!(begins.windows(2).all(|pair| pair[0] + 10 <= pair[1]), "ids twice: {begins:?}");
    for store in [one, other, fresh] {
        store.close().await;
    }
}

/// Every server asks for every part all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_lease_keeps_it_by_one_condition_and_others_ask_by_none() {
    const ASKED: usize = 20;
    // The store's own requests, and requests that a busy node has not answered in time.
    const OTHERS: usize = 20;
    let space = Space::new().await;
    let proxy = space.proxy().await;
    let patient = |options: &mut ScyllaOptions| options.request_timeout = SHORT * 30;
    let (one, other) = (space.behind(&proxy, patient).await, space.open_with(patient).await);
    proxy.inject("INSERT INTO register (name, owner)", Fault::Count, usize::MAX);
    takes_soon(&one, "cooking", LONG).await;
    assert!(proxy.hits() > 0, "nothing is counted");
    takes_soon(&other, "mending", LONG).await;
    for _ in 0..ASKED {
        takes_soon(&one, "cooking", LONG).await;
        assert!(!takes(&one, "mending", LONG).await, "another has it");
    }
    assert!(proxy.hits() < OTHERS, "leases were to be taken {} times", proxy.hits());
    for store in [one, other] {
        store.close().await;
    }
}
