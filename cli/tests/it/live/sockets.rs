//! What a client can say on a WebSocket.

use actix_http::ws::{Frame, Item, Message};
use serde_json::json;

use super::reader::{Rows, Socket};
use crate::harness::{Harness, STORES};

#[tokio::test]
async fn subscriptions_begin_change_and_end() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    for id in 2..6 {
        harness.create(id, Some(1)).await;
    }
    let mut socket = Socket::open(&harness).await;
    socket.say(&json!({"t": "sub", "sub": 4, "topic": "rows/1", "ids": [1, 2]})).await;
    let mut rows = Rows::default();
    let snap = socket.of("snap").await;
    assert_eq!((&snap["sub"], &snap["root"]), (&json!(4), &json!(1)));
    rows.take(&snap);
    assert_eq!(rows.rows.keys().copied().collect::<Vec<_>>(), [1, 2]);

    harness.report(2, "Running").await;
    let snap = socket.of("snap").await;
    assert_eq!(snap["from"], rows.version, "what it has is not told again");
    rows.take(&snap);
    assert_eq!(rows.rows[&2]["state"], "Running");
    assert_eq!(rows.rows[&1]["subtree"]["running"], 1);

    socket.say(&json!({"t": "window", "sub": 4, "ids": [3, 77]})).await;
    let snap = socket.of("snap").await;
    assert_eq!(snap["missing"], json!([77]));
    rows.take(&snap);
    assert_eq!(rows.rows.keys().copied().collect::<Vec<_>>(), [3]);

    // Of a job that is not shown nothing is told, and after the end of the subscription of none.
    socket.sub(5, "job/4").await;
    assert_eq!(socket.of("snap").await["rows"][0]["id"], 4);
    socket.say(&json!({"t": "unsub", "sub": 4})).await;
    socket.say(&json!({"t": "ping"})).await;
    socket.of("pong").await;
    harness.report(3, "Running").await;
    harness.report(4, "Running").await;
    let event = socket.of("event").await;
    assert_eq!((&event["sub"], &event["id"]), (&json!(5), &json!(4)));
    harness.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_present_rows_is_told_the_next_ones() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    let mut socket = Socket::open(&harness).await;
    let sub = |number: u32, since: Option<u64>| {
        let (t, topic, ids) = ("sub", "rows/1", [1]);
        json!({"t": t, "sub": number, "topic": topic, "ids": ids, "since": since})
    };
    socket.say(&sub(1, None)).await;
    let version = socket.of("snap").await["version"].as_u64().unwrap();
    socket.say(&json!({"t": "unsub", "sub": 1})).await;
    socket.say(&sub(2, Some(version))).await;
    socket.say(&sub(3, Some(version - 1))).await;
    assert_eq!(socket.of("snap").await["sub"], 3, "the other one has it");
    harness.report(1, "Running").await;
    let mut told = [socket.of("snap").await, socket.of("snap").await];
    told.sort_by_key(|snap| snap["sub"].as_u64());
    assert_eq!(told.map(|snap| snap["version"].clone()), [json!(version + 1), json!(version + 1)]);
    harness.stop().await;
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused_by_number() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    harness.create(2, Some(1)).await;
    let mut socket = Socket::open(&harness).await;
    let many: Vec<u64> = (1..=1_001).collect();
    for (frame, code) in [
        (json!({"t": "sub", "sub": 1, "topic": "tree/77"}), "job_not_found"),
        (json!({"t": "sub", "sub": 1, "topic": "job/77"}), "job_not_found"),
        (json!({"t": "sub", "sub": 1, "topic": "tree/2"}), "invalid_field"),
        (json!({"t": "sub", "sub": 1, "topic": "rows/1"}), "invalid_field"),
        (json!({"t": "sub", "sub": 1, "topic": "job/1", "ids": [1]}), "invalid_field"),
        (json!({"t": "sub", "sub": 1, "topic": "rows/1", "ids": many}), "invalid_field"),
        (json!({"t": "window", "sub": 1, "ids": [1]}), "invalid_field"),
    ] {
        socket.say(&frame).await;
        let end = socket.of("end").await;
        assert_eq!((&end["sub"], &end["problem"]["code"]), (&json!(1), &json!(code)), "{frame}");
    }
    for sub in 1..=65 {
        socket.sub(sub, "log/1").await;
    }
    let end = socket.of("end").await;
    assert_eq!((&end["sub"], &end["problem"]["code"]), (&json!(65), &json!("invalid_field")));
    harness.stop().await;
}

#[tokio::test]
async fn the_protocol_is_kept() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut socket = Socket::open(&harness).await;
    socket.send(Message::Ping("x".into())).await;
    assert_eq!(socket.message().await, Some(Frame::Pong("x".into())));
    for part in [Item::FirstText("{\"t\":".into()), Item::Continue("\"pi".into())] {
        socket.send(Message::Continuation(part)).await;
    }
    socket.send(Message::Continuation(Item::Last("ng\"}".into()))).await;
    socket.of("pong").await;
    socket.send(Message::Close(None)).await;
    assert_eq!(socket.message().await, Some(Frame::Close(None)));
    assert_eq!(socket.message().await, None);

    let mut socket = Socket::open(&harness).await;
    socket.send(Message::Text("{\"t\": \"sing\"}".into())).await;
    assert_eq!(socket.of("end").await["problem"]["code"], "invalid_json");
    assert_eq!(socket.next().await, None);
    let mut socket = Socket::open(&harness).await;
    socket.send(Message::Binary("x".into())).await;
    assert!(matches!(socket.message().await, Some(Frame::Close(Some(_)))));
    harness.stop().await;
}

#[tokio::test]
async fn an_upgrade_is_for_programs_and_own_pages() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.get("/api/v1/live").await.assert_problem("upgrade_required");
    for foreign in ["origin: https://evil.invalid\r\n", "sec-fetch-site: cross-site\r\n"] {
        let (_, answer) = Socket::ask(&harness, foreign).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    let own = format!("origin: {}\r\n", harness.url());
    let (mut socket, answer) = Socket::ask(&harness, &own).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(socket.of("hello").await["subscriptions"], 64);
    harness.stop().await;
}
