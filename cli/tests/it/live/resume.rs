//! A client that comes again goes on where it was, or is told what is missing.

use std::time::Duration;

use futures_util::StreamExt;
use jobtracker_client::{
    JobId, LiveEvent, NewChange, NewJob, NewLogLines, Occurrence, State, Watch, Watched,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    reader::{Events, Socket},
    until_there_is_room,
};
use crate::{
    harness::{Harness, STORES},
    process::{Process, embedded},
};

/// Lines of an append.
const LINES: usize = 1_000;
/// As many events as are kept of a tree.
const KEPT: usize = 10_000;

async fn append(harness: &Harness, id: u64, appends: usize) {
    for number in 0..appends {
        let lines: Vec<_> = (0..LINES).map(|line| format!("{number} {line}")).collect();
        let path = format!("/api/v1/jobs/{id}/log");
        assert_eq!(harness.post(&path, &json!({"lines": lines})).await.status, 200);
    }
}

#[tokio::test]
async fn events_that_are_kept_are_told_to_one_who_comes_again() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(1, None).await;
        harness.create(2, Some(1)).await;
        let query = "topic=job/2&kinds=changed&topic=log/2";
        let mut events = Events::open(&harness, query, None).await;
        events.of("snap").await;
        harness.report(2, "Running").await;
        let running = events.of("event").await;
        assert_eq!((&running["sub"], &running["change"]["state"]), (&json!(1), &json!("Running")));
        let id = events.id.clone().unwrap();
        drop(events);
        harness.report(2, "Warning").await;
        let path = "/api/v1/jobs/2/log";
        assert_eq!(harness.post(path, &json!({"lines": ["a", "b"]})).await.status, 200);
        harness.report(1, "Running").await;
        let mut events = Events::open(&harness, query, Some(&id)).await;
        let mut told = Vec::new();
        while told.len() < 3 {
            let event = events.of("event").await;
            told.push((
                event["sub"].clone(),
                event["change"]["state"].clone(),
                event["text"].clone(),
            ));
        }
        told.sort_by_key(|(sub, ..)| sub.as_u64());
        let expected = [
            (json!(1), json!("Warning"), Value::Null),
            (json!(2), Value::Null, json!("a")),
            (json!(2), Value::Null, json!("b")),
        ];
        assert_eq!(told, expected, "what is of another job is not told");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_misses_events_and_is_told_how_many() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    let mut socket = Socket::open(&harness).await;
    socket.sub(1, "log/1").await;
    socket.of("mark").await;
    // More than the ring keeps, and than sockets hold.
    append(&harness, 1, KEPT / LINES * 3).await;
    let (mut told, mut missed, mut last) = (0, 0, -1);
    while told + missed < KEPT * 3 {
        let frame = socket.next().await.unwrap();
        match frame["t"].as_str().unwrap() {
            "event" => {
                told += 1;
                let line = frame["line"].as_i64().unwrap();
                assert!(line > last, "line {line} comes after {last}");
                last = line;
            }
            "gap" => missed += frame["count"].as_u64().map_or(0, |count| count as usize),
            _ => {}
        }
    }
    assert!(told > 0 && missed > 0 && told + missed == KEPT * 3, "{told} told, {missed} missed");
    // It goes on as usual.
    let path = "/api/v1/jobs/1/log";
    assert_eq!(harness.post(path, &json!({"lines": ["the last one"]})).await.status, 200);
    while socket.of("event").await["text"] != "the last one" {}
    harness.stop().await;
}

#[tokio::test]
async fn a_client_that_stalls_holds_up_no_other() {
    let harness = Harness::start(STORES[0], |config| {
        config.server.send_timeout_ms = 100;
        config.live.connections = 2;
    })
    .await;
    harness.create(1, None).await;
    let mut stalled = Socket::open(&harness).await;
    stalled.sub(1, "tree/1").await;
    stalled.of("mark").await;
    let mut reading = Events::open(&harness, "topic=tree/1&kinds=state", None).await;
    reading.of("mark").await;
    // More than sockets hold.
    let lines: Vec<_> = (0..300).map(|_| "x".repeat(1_000)).collect();
    for _ in 0..40 {
        harness.post("/api/v1/jobs/1/log", &json!({"lines": lines})).await;
    }
    harness.report(1, "Running").await;
    assert_eq!(reading.of("event").await["state"], "Running");
    // It is closed when it has taken nothing for as long as is allowed, which makes room.
    until_there_is_room(&harness).await;
    harness.stop().await;
}

#[tokio::test]
async fn after_a_kill_a_client_is_told_what_it_missed() {
    let directory = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = free.to_string();
    let settings = embedded(directory.path());
    let service = Process::start(&listen, &settings);
    let client = jobtracker_client::JobTrackerClient::new(format!("http://{listen}")).unwrap();
    let id = JobId::MIN;
    client.create(NewJob::new("root").id(id)).await.unwrap();
    let mut watch = client.watch(id);
    let mut states = Vec::new();
    assert!(
        matches!(next(&mut watch).await, Watched::Row(row) if row.state == State::WaitingToRun)
    );
    client.update(id, NewChange::new(State::Running)).await.unwrap();
    while states.last() != Some(&State::Running) {
        states.extend(state(&next(&mut watch).await));
    }
    let known = watch.position().unwrap();
    service.kill();
    let service = Process::start(&listen, &settings);
    // Before the watch has found the service again: it reads from the store what it has missed.
    client.update(id, NewChange::new(State::Warning)).await.unwrap();
    let (mut has_gap, mut row) = (false, None);
    while row != Some(State::Warning) || !(has_gap || states.last() == Some(&State::Warning)) {
        match next(&mut watch).await {
            Watched::Gap(gap) => {
                assert!(gap.from >= known && gap.to > gap.from, "{gap:?} behind {known}");
                has_gap = true;
            }
            Watched::Row(told) => row = Some(told.state),
            told => states.extend(state(&told)),
        }
    }
    let lines = NewLogLines { lines: vec!["still here".into()], append_id: None };
    client.append_log(id, lines).await.unwrap();
    while !matches!(next(&mut watch).await, Watched::Event(event)
        if matches!(&event.what, Occurrence::Log(line) if line.text == "still here"))
    {}
    drop(service);
}

fn state(told: &Watched) -> Option<State> {
    match told {
        Watched::Event(LiveEvent { what: Occurrence::State { state, .. }, .. }) => Some(*state),
        _ => None,
    }
}

async fn next(watch: &mut Watch) -> Watched {
    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
    next.expect("a watch that is told nothing").unwrap().unwrap()
}

#[tokio::test]
async fn a_watch_of_no_job_is_an_error() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut watch = harness.client().watch(JobId::MAX);
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(watch.next().await.is_none());
    harness.stop().await;
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    for query in [
        "",
        "topic=forest/1",
        "topic=tree/1&after=x",
        "topic=tree/1&after=1,2",
        "topic=tree/1&kinds=x",
        "topic=rows/1&ids=x",
        "topic=tree/1&x=1",
    ] {
        let reply = harness.get(&format!("/api/v1/events?{query}")).await;
        reply.assert_problem("invalid_query");
    }
    for (query, code) in [("topic=tree/2", "job_not_found"), ("topic=rows/1", "invalid_field")] {
        harness.get(&format!("/api/v1/events?{query}")).await.assert_problem(code);
    }
    let head = harness.request(Method::HEAD, "/api/v1/events?topic=tree/1").send().await.unwrap();
    assert_eq!(head.status(), 200);
    harness.stop().await;
}
