use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use jobtracker_client::{Error, IdBlock, JobTrackerClient, NewJob, ProblemCode};
use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::{
    canned::{self, id},
    stub,
};

/// A server that reserves ids in order and creates each job that it is asked for.
async fn service() -> MockServer {
    let server = MockServer::start().await;
    let next = AtomicU64::new(1);
    let reserve = move |request: &Request| {
        let count = request.body_json::<serde_json::Value>().unwrap()["count"].as_u64().unwrap();
        let first = id(next.fetch_add(count, Ordering::SeqCst));
        // Long enough for other calls to ask for ids too.
        let count = u32::try_from(count).unwrap();
        canned::json(IdBlock { first, count }).set_delay(Duration::from_millis(20))
    };
    let create = |request: &Request| {
        let job: NewJob = request.body_json().unwrap();
        canned::json(canned::created(job.id.unwrap().get()))
    };
    let create_children = |request: &Request| {
        let jobs = request.body_json::<serde_json::Value>().unwrap()["jobs"].take();
        let jobs: Vec<NewJob> = serde_json::from_value(jobs).unwrap();
        let created = jobs.iter().map(|job| canned::created(job.id.unwrap().get()));
        canned::json(json!({ "items": created.collect::<Vec<_>>() }))
    };
    Mock::given(path("/api/v1/ids")).respond_with(reserve).mount(&server).await;
    Mock::given(path("/api/v1/jobs")).respond_with(create).mount(&server).await;
    Mock::given(method("POST")).respond_with(create_children).mount(&server).await;
    server
}

fn client(server: &MockServer, block: u32) -> JobTrackerClient {
    stub::builder(&server.uri()).id_block_size(block).build().unwrap()
}

async fn reservations(server: &MockServer) -> Vec<u64> {
    let mut requests = stub::requests(server).await;
    requests.retain(|request| request.url.path() == "/api/v1/ids");
    stub::field(&requests, "count").iter().map(|count| count.as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_creates_use_each_id_once_and_share_reservations() {
    let server = service().await;
    let client = client(&server, 100);
    let tasks = (0..64).map(|task| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for _ in (task..1000).step_by(64) {
                ids.push(client.create(NewJob::new("a")).await.unwrap().id.get());
            }
            ids
        })
    });
    let ids = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(ids.len(), 1000);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (1..=1000).collect());
    // One at a time: two at once would have thrown ids away, and needed an eleventh.
    assert_eq!(reservations(&server).await, [100; 10]);
}

#[tokio::test]
async fn a_create_is_one_request_and_keeps_an_id_of_the_callers() {
    let server = service().await;
    let client = client(&server, 1000);
    assert_eq!(client.create(NewJob::new("a").id(id(77))).await.unwrap().id, id(77));
    assert!(reservations(&server).await.is_empty());
    for number in 1..=10 {
        assert_eq!(client.create(NewJob::new("a")).await.unwrap().id, id(number));
    }
    assert_eq!(stub::requests(&server).await.len(), 12);
}

#[tokio::test]
async fn batches_take_what_they_need() {
    let server = service().await;
    let client = client(&server, 100);
    let jobs = |count| vec![NewJob::new("a"); count];
    let numbers = async |jobs| -> Vec<u64> {
        let created = client.create_children(id(9999), jobs).await.unwrap();
        created.iter().map(|created| created.id.get()).collect()
    };
    assert_eq!(numbers(jobs(60)).await, (1..=60).collect::<Vec<_>>());
    // A batch as large as a block reserves its own and leaves the block to the others.
    assert_eq!(numbers(jobs(250)).await, (101..=350).collect::<Vec<_>>());
    assert_eq!(client.create(NewJob::new("a")).await.unwrap().id, id(61));
    // Too few are left.
    assert_eq!(numbers(jobs(40)).await, (351..=390).collect::<Vec<_>>());
    let mut mixed = jobs(3);
    mixed[1].id = Some(id(5000));
    assert_eq!(numbers(mixed).await, [391, 5000, 392]);
    assert_eq!(reservations(&server).await, [100, 250, 100]);
}

#[tokio::test]
async fn callers_share_the_failure_of_a_reservation() {
    let server = stub::answering(canned::problem(ProblemCode::Unauthorized)).await;
    let client = client(&server, 100);
    let creates = join_all((0..64).map(|_| client.create(NewJob::new("a")))).await;
    for created in creates {
        let error = created.unwrap_err();
        assert!(matches!(error, Error::NoIds(_)), "{error:?}");
        assert_eq!(error.code(), Some(ProblemCode::Unauthorized));
        assert!(!error.outcome_unknown() && !error.is_retryable());
    }
    assert_eq!(reservations(&server).await.len(), 1);
    // The next call does not get the old failure, it asks anew.
    assert!(client.create(NewJob::new("a")).await.is_err());
    assert_eq!(reservations(&server).await.len(), 2);
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_stop_the_others() {
    let server = service().await;
    let client = client(&server, 100);
    let mut first = Box::pin(client.create(NewJob::new("a")));
    let mut second = Box::pin(client.create(NewJob::new("b")));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(second.await.unwrap().id, id(1));

    // No other call waits: the reservation ends with its caller, and the next call asks anew.
    let mut alone = Box::pin(client.create_children(id(9999), vec![NewJob::new("a"); 99]));
    assert!((&mut alone).now_or_never().is_none());
    for _ in 0..99 {
        client.create(NewJob::new("b")).await.unwrap();
    }
    drop(alone);
    assert!(client.create(NewJob::new("c")).await.is_ok());
}

#[tokio::test]
async fn reserving_is_tried_again_and_the_answer_is_checked() {
    let block = IdBlock { first: id(5), count: 10 };
    let busy = ResponseTemplate::new(503);
    let server = stub::answering_in_turn([busy, canned::json(block)]).await;
    let client = client(&server, 11);
    assert_eq!(client.reserve_ids(10).await.unwrap(), block);
    // The same answer is wrong for another question.
    let error = client.create(NewJob::new("a")).await.unwrap_err();
    let Error::NoIds(source) = error else { panic!("{error:?}") };
    assert!(matches!(*source, Error::InvalidReply { .. }), "{source:?}");

    let past_the_end = IdBlock { first: jobtracker_client::JobId::MAX, count: 2 };
    let server = stub::answering(canned::json(past_the_end)).await;
    assert!(stub::client(&server).reserve_ids(2).await.is_err());
    let none = json!({ "first": 1, "count": 0 });
    let server = stub::answering(canned::json(none)).await;
    assert!(stub::client(&server).reserve_ids(0).await.is_err());
}
