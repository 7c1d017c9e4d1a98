use std::time::{Duration, Instant};

use jobtracker_client::{Error, NewChange, ProblemCode, RetryPolicy, State};
use wiremock::ResponseTemplate;

use crate::{
    canned::{id, job, json, problem},
    stub,
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_ends_a_try_that_hangs() {
    let server = stub::answering(json(job(7)).set_delay(HOUR)).await;
    let client = stub::builder(&server.uri())
        .request_timeout(HOUR)
        .deadline(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = client.update(id(7), NewChange::new(State::Running)).await.unwrap_err();
    let Error::DeadlineExceeded { last, outcome_unknown } = &error else { panic!("{error:?}") };
    assert!(last.is_none() && *outcome_unknown);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn it_ends_endless_tries_and_tells_why_the_last_one_failed() {
    let server = stub::answering(problem(ProblemCode::Contention)).await;
    let client = stub::builder(&server.uri())
        .retry(RetryPolicy { attempts: u32::MAX, ..stub::quick() })
        .deadline(Duration::from_millis(500))
        .build()
        .unwrap();
    let error = client.load(id(7)).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { last: Some(_), .. }), "{error:?}");
    assert_eq!(error.code(), Some(ProblemCode::Contention));
    assert!(stub::requests(&server).await.len() > 1);
}

#[tokio::test]
async fn a_wait_that_would_pass_it_is_not_begun() {
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "3600");
    let server = stub::answering(busy).await;
    let begin = Instant::now();
    let error = stub::client(&server).load(id(7)).await.unwrap_err();
    let Error::DeadlineExceeded { last: Some(last), .. } = error else { panic!("{error:?}") };
    assert!(matches!(*last, Error::InvalidReply { status: 503, .. }));
    assert!(begin.elapsed() < HOUR / 2);
    assert_eq!(stub::requests(&server).await.len(), 1);
}

#[tokio::test]
async fn one_that_never_comes_does_not_overflow() {
    let server = stub::answering(json(job(7))).await;
    let client = stub::builder(&server.uri())
        .connect_timeout(Duration::MAX)
        .request_timeout(Duration::MAX)
        .deadline(Duration::MAX)
        .build()
        .unwrap();
    assert_eq!(client.load(id(7)).await.unwrap(), job(7));
}

#[tokio::test]
async fn one_that_has_passed_sends_nothing() {
    let server = stub::answering(json(job(7))).await;
    let client = stub::builder(&server.uri()).deadline(Duration::ZERO).build().unwrap();
    let error = client.load(id(7)).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { last: None, outcome_unknown: false }));
    assert!(stub::requests(&server).await.is_empty());
}
