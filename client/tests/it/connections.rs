use std::{net::SocketAddr, time::Duration};

use jobtracker_client::{Error, JobTracker, NewChange, RetryPolicy, State};
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
    address
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
    // The listener is gone after the first connection, so the later tries reach nobody.
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
