use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use jobtracker_client::{Error, JobTrackerClient, NewChange, RetryPolicy, State};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    canned::{id, job, updated},
    stub,
};

/// A server that writes these bytes to one connection after another, and closes each.
async fn writing(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    answering(listener, answers);
    address
}

fn answering(listener: TcpListener, answers: Vec<Vec<u8>>) {
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            // Closing a socket with unread bytes would reset it, and lose the answer. Requests of
            // these tests come in one piece.
            let _ = socket.read(&mut [0; 16 * 1024]).await.unwrap();
            socket.write_all(&answer).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
}

fn whole(body: &impl serde::Serialize) -> Vec<u8> {
    let body = serde_json::to_string(body).unwrap();
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

fn cut(mut answer: Vec<u8>, bytes: usize) -> Vec<u8> {
    answer.truncate(answer.len() - bytes);
    answer
}

#[tokio::test]
async fn cut_connections_and_bodies_are_tried_again() {
    let answer = whole(&job(7));
    let answers =
        vec![Vec::new(), cut(answer.clone(), 10), cut(answer.clone(), answer.len() - 20), answer];
    let address = writing(answers).await;
    let client = stub::builder(&format!("http://{address}")).build().unwrap();
    assert_eq!(client.load(id(7)).await.unwrap(), job(7));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_has_an_unknown_outcome() {
    let answer = whole(&updated());
    for answer in [Vec::new(), cut(answer.clone(), 10)] {
        let address = writing(vec![answer]).await;
        let client = stub::builder(&format!("http://{address}"))
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let error = client.update(id(7), NewChange::new(State::Running)).await.unwrap_err();
        assert!(matches!(error, Error::Transport { outcome_unknown: true, .. }), "{error:?}");
        assert!(error.is_retryable() && error.code().is_none());
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_remembered_through_later_tries() {
    // The listener is gone after the first connection, so the later tries reach no server.
    let address = writing(vec![Vec::new()]).await;
    let client = stub::builder(&format!("http://{address}")).build().unwrap();
    let error = client.update(id(7), NewChange::new(State::Running)).await.unwrap_err();
    assert!(matches!(error, Error::Transport { outcome_unknown: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_service_that_is_not_there_has_done_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = stub::builder(&format!("http://{address}")).build().unwrap();
    let error = client.update(id(7), NewChange::new(State::Running)).await.unwrap_err();
    assert!(matches!(error, Error::Transport { outcome_unknown: false, .. }), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let rubbish = vec![b"SSH-2.0-OpenSSH\r\n".to_vec(); 5];
    let address = writing(rubbish).await;
    let client = stub::builder(&format!("http://{address}")).build().unwrap();
    assert!(matches!(client.load(id(7)).await, Err(Error::Transport { .. })));
}

#[tokio::test]
async fn a_slow_answer_is_given_up_and_asked_for_again() {
    let slow = crate::canned::json(job(1)).set_delay(Duration::from_secs(3600));
    let server = stub::answering_in_turn([slow, crate::canned::json(job(7))]).await;
    let client =
        stub::builder(&server.uri()).request_timeout(Duration::from_millis(250)).build().unwrap();
    assert_eq!(client.load(id(7)).await.unwrap(), job(7));
}

/// A service that is restarted has no socket for a while; callers do not notice it.
#[tokio::test]
async fn a_service_that_comes_back_after_a_while_has_missed_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = JobTrackerClient::new(format!("http://{address}")).unwrap();
    let call = tokio::spawn(async move { client.load(id(7)).await });
    // Longer than the pauses between five tries may take together.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!call.is_finished());
    let listener = TcpListener::bind(address).await.unwrap();
    answering(
        listener,
        vec![b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n".to_vec(), whole(&job(7))],
    );
    assert_eq!(call.await.unwrap().unwrap(), job(7));
}

/// By default nothing but the deadline ends the tries.
#[tokio::test]
async fn a_service_that_stays_away_is_tried_until_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let builder = JobTrackerClient::builder(format!("http://{address}"));
    let policy = RetryPolicy { max_backoff: Duration::from_millis(20), ..RetryPolicy::default() };
    let client = builder.retry(policy).deadline(Duration::from_secs(1)).build().unwrap();
    let begun = Instant::now();
    let error = client.load(id(7)).await.unwrap_err();
    let Error::DeadlineExceeded { last: Some(last), outcome_unknown } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*last, Error::Transport { .. }) && !outcome_unknown);
    // The last pause would have gone beyond the deadline.
    assert!(begun.elapsed() >= Duration::from_millis(900));
}
