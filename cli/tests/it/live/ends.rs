//! How live views end: at a stop, at limits, and with a client that asks for more on its
//! connection.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    reader::{Events, Socket},
    until_there_is_room,
};
use crate::harness::{Harness, STORES};

#[tokio::test]
async fn a_stop_is_told_and_waits_for_no_viewer() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    let mut events = Events::open(&harness, "topic=tree/1", None).await;
    let mut socket = Socket::open(&harness).await;
    socket.sub(1, "tree/1").await;
    events.of("snap").await;
    socket.of("snap").await;
    let stopping = tokio::spawn(harness.stop());
    for end in [events.of("end").await, socket.of("end").await] {
        assert_eq!(end["problem"]["code"], "shutting_down");
        assert_eq!(end["sub"], json!(null), "it is about the whole connection");
    }
    assert_eq!(events.next().await, None);
    assert_eq!(socket.next().await, None);
    stopping.await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let harness = Harness::start(STORES[0], |config| config.live.connections = 2).await;
    harness.create(1, None).await;
    let one = Events::open(&harness, "topic=tree/1", None).await;
    let _other = Socket::open(&harness).await;
    harness.get("/api/v1/events?topic=tree/1").await.assert_problem("overloaded");
    let (_, answer) = Socket::ask(&harness, "").await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    drop(one);
    until_there_is_room(&harness).await;
    harness.stop().await;
}

/// An answer that comes piece by piece is not over when a piece of it has been sent.
#[tokio::test]
async fn a_request_behind_a_stream_is_answered_after_it() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    let address = harness.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let events = head("GET /api/v1/events?topic=tree/1");
    stream.write_all(events.as_bytes()).await.unwrap();
    let mut came = Vec::new();
    let snap = b"\"t\":\"snap\"";
    while !came.windows(snap.len()).any(|part| part == snap) {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0);
    }
    // If it were answered now, the events would be taken for the answer to HEAD, which has no body.
    stream.write_all(head("HEAD /healthz").as_bytes()).await.unwrap();
    for state in ["Running", "Warning", "Running"] {
        harness.report(1, state).await;
        let wanted = format!("\"state\":\"{state}\"");
        came.clear();
        while !String::from_utf8_lossy(&came).contains(&wanted) {
            assert!(stream.read_buf(&mut came).await.unwrap() > 0);
        }
        assert!(!String::from_utf8_lossy(&came).contains("HTTP/1.1"));
    }
    harness.stop().await;
}
