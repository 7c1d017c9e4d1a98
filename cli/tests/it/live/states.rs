//! States of the whole service: the first roots of a list, deliveries, the overview; and the pace
//! at which a client is told.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use jobtracker_client::{JobTrackerClient, NewChange, NewJob, RootsQuery, State};
use jobtracker_server::Secret;
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::reader::{Events, GUARD, Socket};
use crate::{
    harness::{Harness, Reply, STORES},
    process::{ANY_PORT, Process, embedded},
};

/// A list of roots as a client keeps it that takes up one frame after the other.
#[derive(Debug, Default)]
struct Roots {
    version: u64,
    ids: Vec<u64>,
    rows: BTreeMap<u64, Value>,
}

impl Roots {
    fn take(&mut self, frame: &Value) {
        let known = std::mem::take(&mut self.rows);
        let ids = frame["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap());
        self.ids = ids.collect();
        match frame["from"].as_u64() {
            Some(from) => {
                assert_eq!(from, self.version, "a change of another state");
                let kept = known.iter().filter(|(id, _)| self.ids.contains(id));
                self.rows = kept.map(|(id, row)| (*id, row.clone())).collect();
            }
            None => assert_eq!(frame["rows"].as_array().unwrap().len(), self.ids.len()),
        }
        for row in frame["rows"].as_array().unwrap() {
            let (id, mut row) = (row["id"].as_u64().unwrap(), row.clone());
            if row["definition"].is_null() {
                row["definition"] = known[&id]["definition"].clone();
            }
            self.rows.insert(id, row);
        }
        self.version = frame["version"].as_u64().unwrap();
    }

    /// The list as the API answers it.
    fn list(&self) -> Vec<Value> {
        self.ids.iter().map(|id| self.rows[id].clone()).collect()
    }
}

async fn listed(harness: &Harness, filter: &str) -> Vec<Value> {
    let page = harness.get(&format!("/api/v1/roots?fields=row&{filter}")).await.json();
    page["items"].as_array().unwrap().clone()
}

/// After any work the last state that was told is that of the store, on every connection: one that
/// reads along, one that comes again after each frame, and one that is slow.
#[tokio::test]
async fn the_last_roots_that_were_told_are_those_of_the_store() {
    for (round, kind) in STORES.into_iter().enumerate() {
        let harness = Harness::start(kind, |_| {}).await;
        let filter = "limit=5&namePrefix=job";
        let query = format!("topic=roots&filter={}", filter.replace('&', "%26"));
        let mut whole = Events::open(&harness, &query, None).await;
        let (mut roots, mut again, mut last) = (Roots::default(), Roots::default(), None);
        roots.take(&whole.of("roots").await);
        assert!(roots.ids.is_empty());
        let mut slow = Events::open(&harness, &format!("{query}&everyMs=1500"), None).await;
        slow.of("roots").await;
        let mut random = StdRng::seed_from_u64(round as u64);
        for _ in 0..4 {
            for _ in 0..20 {
                let id: u64 = random.random_range(1..20);
                let path = format!("/api/v1/jobs/{id}/changes");
                let _ = match random.random_range(0..3) {
                    0 => harness.post(&path, &json!({"state": "Running"})).await,
                    1 => harness.post(&path, &json!({"state": "RanToCompletion"})).await,
                    _ => {
                        let name = ["job", "other"][random.random_range(0..2)];
                        let job = json!({"id": id, "name": format!("{name} {id}")});
                        harness.post("/api/v1/jobs", &job).await
                    }
                };
            }
            let due = listed(&harness, filter).await;
            while roots.list() != due {
                roots.take(&whole.of("roots").await);
            }
            // What it has is not told again; the first thing that is told is something else.
            while again.list() != due {
                let mut events = Events::open(&harness, &query, last.as_deref()).await;
                let frame = events.of("roots").await;
                assert_ne!(frame["version"], again.version);
                again.take(&frame);
                last = events.id.clone();
            }
            if last.is_some() {
                assert_eq!(again.version, roots.version, "the same state has the same version");
            }
        }
        let due = listed(&harness, filter).await;
        while slow.of("roots").await["version"] != roots.version {}
        assert_eq!(listed(&harness, filter).await, due, "nothing was done meanwhile");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_state_has_the_same_version_after_a_restart() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    harness.create(1, None).await;
    let mut events = Events::open(&harness, "topic=roots", None).await;
    let before = events.of("roots").await;
    let last = events.id.clone();
    drop(events);
    let harness = Harness::restart(harness.stop().await.unwrap(), |_| {}).await;
    let mut socket = Socket::open(&harness).await;
    let since = before["version"].clone();
    socket.say(&json!({"t": "sub", "sub": 1, "topic": "roots", "since": since})).await;
    let mut events = Events::open(&harness, "topic=roots", last.as_deref()).await;
    // Another state of the service says that time has passed.
    socket.sub(2, "deliveries").await;
    assert_eq!(socket.next().await.unwrap()["t"], "deliveries");
    harness.create(2, None).await;
    for frame in [socket.of("roots").await, events.of("roots").await] {
        assert_eq!(frame["ids"], json!([2, 1]));
    }
    harness.stop().await;
}

#[tokio::test]
async fn an_overview_comes_again_and_again() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut socket = Socket::open(&harness).await;
    socket.sub(1, "overview").await;
    socket.sub(2, "deliveries").await;
    let first = socket.of("overview").await;
    assert_eq!(first["overview"]["viewers"]["connections"], 1);
    let none = json!({"due": 0, "underWay": 0, "delivered": 0, "failed": 0});
    harness.create(1, None).await;
    loop {
        let frame = socket.next().await.unwrap();
        match frame["t"].as_str().unwrap() {
            "deliveries" => assert_eq!(frame["followUps"], none, "it is told once"),
            "overview" if frame["overview"]["operations"]["perMinute"] != 0 => break,
            _ => {}
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_client_is_told_at_its_own_pace() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    let mut socket = Socket::open(&harness).await;
    let sub = |sub: u32, every_ms: u32| {
        let (t, topic, ids) = ("sub", "rows/1", [1]);
        json!({"t": t, "sub": sub, "topic": topic, "ids": ids, "everyMs": every_ms})
    };
    socket.say(&sub(1, 60_000)).await;
    assert_eq!(socket.of("snap").await["sub"], 1, "the first one comes at once");
    socket.say(&sub(2, 0)).await;
    assert_eq!(socket.of("snap").await["sub"], 2);
    for state in ["Running", "Warning", "Running"] {
        harness.report(1, state).await;
        let snap = socket.of("snap").await;
        assert_eq!((&snap["sub"], &snap["rows"][0]["state"]), (&json!(2), &json!(state)));
    }
    socket.say(&json!({"t": "pace", "sub": 1, "everyMs": 0})).await;
    let snap = socket.of("snap").await;
    assert_eq!((&snap["sub"], &snap["rows"][0]["state"]), (&json!(1), &json!("Running")));
    socket.say(&sub(3, 60_001)).await;
    assert_eq!(socket.of("end").await["problem"]["field"], "everyMs");
    socket.say(&json!({"t": "pace", "sub": 9, "everyMs": 0})).await;
    assert_eq!(socket.of("end").await["sub"], 9);
    harness.stop().await;
}

#[tokio::test]
async fn what_is_no_state_is_refused() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut socket = Socket::open(&harness).await;
    for (topic, filter, code) in [
        ("roots", "states=Done", "invalid_query"),
        ("roots", "limit=201", "invalid_query"),
        ("roots", "cursor=x", "invalid_field"),
        ("roots", "colour=red", "invalid_field"),
        ("roots", "expression=nothing", "invalid_expression"),
        ("overview", "limit=1", "invalid_field"),
    ] {
        let sub = json!({"t": "sub", "sub": 1, "topic": topic, "filter": filter});
        socket.say(&sub).await;
        let end = socket.of("end").await;
        assert_eq!((&end["sub"], &end["problem"]["code"]), (&json!(1), &json!(code)), "{filter}");
        if topic == "roots" {
            let filter = filter.replace('=', "%3D");
            let path = format!("/api/v1/events?topic=roots&filter={filter}");
            let reply = Reply::of(harness.request(Method::GET, &path)).await;
            reply.assert_problem(code);
        }
    }
    // As many different states are watched at once as one connection may watch.
    for sub in 1..=64 {
        let filter = format!("limit={sub}");
        socket.say(&json!({"t": "sub", "sub": sub, "topic": "roots", "filter": filter})).await;
    }
    let mut other = Socket::open(&harness).await;
    for _ in 1..=64 {
        assert_eq!(socket.next().await.unwrap()["t"], "roots");
    }
    other.say(&json!({"t": "sub", "sub": 1, "topic": "roots", "filter": "limit=65"})).await;
    assert_eq!(other.of("end").await["problem"]["code"], "overloaded");
    other.say(&json!({"t": "sub", "sub": 1, "topic": "roots", "filter": "limit=7"})).await;
    assert_eq!(other.next().await.unwrap()["t"], "roots");
    harness.stop().await;
}

/// A reader with a token of its own leaves room for others.
#[tokio::test]
async fn one_reader_does_not_have_all_states() {
    let harness = Harness::start(STORES[0], |config| {
        config.auth.token = Secret::new("a-token-for-tests");
    })
    .await;
    let new = json!({"name": "anna", "role": "reader"});
    let admin = harness.request(Method::POST, "/api/v1/tokens").bearer_auth("a-token-for-tests");
    let made = Reply::of(admin.json(&new)).await.json();
    let head = |token: &str| format!("authorization: Bearer {token}\r\n");
    let (mut anna, _) = Socket::ask(&harness, &head(made["secret"].as_str().unwrap())).await;
    for sub in 1..=17 {
        let filter = format!("limit={sub}");
        anna.say(&json!({"t": "sub", "sub": sub, "topic": "roots", "filter": filter})).await;
    }
    let end = anna.of("end").await;
    assert_eq!((&end["sub"], &end["problem"]["code"]), (&json!(17), &json!("overloaded")));
    let (mut other, _) = Socket::ask(&harness, &head("a-token-for-tests")).await;
    other.say(&json!({"t": "sub", "sub": 1, "topic": "roots", "filter": "limit=17"})).await;
    other.of("roots").await;
    // What another caller watches already, a caller may watch too.
    anna.say(&json!({"t": "sub", "sub": 17, "topic": "roots", "filter": "limit=17"})).await;
    while anna.of("roots").await["sub"] != 17 {}
    harness.stop().await;
}

/// The streams of the Rust client, over a restart of the service.
#[tokio::test]
async fn the_client_has_states_as_streams() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(ANY_PORT, &embedded(data.path()));
    let listen = process.address().to_owned();
    let client = JobTrackerClient::new(format!("http://{listen}")).unwrap();
    let named = |name: &str| NewJob::new(name);
    let first = client.create(named("job, & one")).await.unwrap().id;
    client.create(named("other")).await.unwrap();
    let query = RootsQuery::default().name_prefix("job, &").limit(2);
    let mut roots = client.watch_roots(query.clone(), None).unwrap();
    let mut next = async || timeout(GUARD, roots.next()).await.unwrap().unwrap().unwrap();
    let shown = next().await;
    assert_eq!((shown.rows.len(), shown.more), (1, false));
    assert_eq!(shown.rows, client.root_rows(query.clone()).await.unwrap().items);

    process.kill();
    let process = Process::start(&listen, &embedded(data.path()));
    client.update(first, NewChange::new(State::Running)).await.unwrap();
    client.create(named("job, & two")).await.unwrap();
    let due = client.root_rows(query.clone()).await.unwrap().items;
    while next().await.rows != due {}
    client.update(first, NewChange::new(State::RanToCompletion)).await.unwrap();
    let due = client.root_rows(query).await.unwrap().items;
    while next().await.rows != due {}

    let every = Some(Duration::from_millis(100));
    let mut deliveries = client.watch_deliveries(every);
    let load = timeout(GUARD, deliveries.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(load.failed, 0);
    let mut overviews = client.watch_overview(every);
    let overview = timeout(GUARD, overviews.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(overview.viewers.connections, 3);

    let wrong = RootsQuery::default().limit(500);
    let mut wrong = client.watch_roots(wrong, None).unwrap();
    let error = timeout(GUARD, wrong.next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
    assert!(wrong.next().await.is_none());
    drop(process);
}
