use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use jobtracker_client::Error;

use crate::{
    canned::{id, job, json},
    stub,
};

#[tokio::test]
async fn calls_past_the_burst_wait_for_their_turn() {
    let server = stub::answering(json(job(7))).await;
    let client = stub::builder(&server.uri()).rate_limit(50, 2).build().unwrap();
    let begin = Instant::now();
    // Clones share the limit, and so do calls at the same time.
    let clones: Vec<_> = (0..10).map(|_| client.clone()).collect();
    try_join_all(clones.iter().map(|client| client.load(id(7)))).await.unwrap();
    // Two at once, eight more 20 ms apart.
    assert!(begin.elapsed() >= Duration::from_millis(155), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_call_whose_turn_is_past_its_deadline_fails_at_once() {
    let server = stub::answering(json(job(7))).await;
    let client = stub::builder(&server.uri())
        .rate_limit(1, 1)
        .deadline(Duration::from_millis(400))
        .build()
        .unwrap();
    client.load(id(7)).await.unwrap();
    let begin = Instant::now();
    let error = client.load(id(7)).await.unwrap_err();
    // The call failed at once: it sent no request and waited for no timer.
    assert!(begin.elapsed() < Duration::from_millis(400));
    assert!(matches!(error, Error::DeadlineExceeded { last: None, outcome_unknown: false }));
    assert_eq!(stub::requests(&server).await.len(), 1);
}
