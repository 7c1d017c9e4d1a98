//! After any sequence of work, the last rows that were told are those of the store, and the events
//! that were told, gaps put apart, are the history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use jobtracker_store::scylla::{ScyllaStore, testing::Lent};
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    reader::{Events, GUARD, Rows, Socket},
    rows,
};
use crate::{
    harness::{Harness, Reply, STORES},
    process::{ANY_PORT, Process, embedded},
};

const JOBS: u64 = 30;

/// Random work at a tree.
async fn work(service: &Service, random: &mut StdRng, steps: u64) {
    for step in 0..steps {
        let id = random.random_range(1..=JOBS);
        let path = format!("/api/v1/jobs/{id}");
        // Jobs that are not there yet are refused, which changes nothing.
        match random.random_range(0..10) {
            0..3 => {
                let parent = random.random_range(1..=id);
                let parent = (parent != id).then_some(parent);
                let body =
                    json!({"id": id, "parent": parent.unwrap_or(1), "name": format!("job {id}")});
                service.post("/api/v1/jobs", &body).await;
            }
            3..7 => {
                let states = ["Running", "Warning", "RanToCompletion", "Faulted"];
                let state = states[random.random_range(0..4)];
                let body = json!({"state": state, "message": format!("step {step}")});
                service.post(&format!("{path}/changes"), &body).await;
            }
            7 => {
                let lines = [format!("line {step}"), "another".into()];
                service.post(&format!("{path}/log"), &json!({"lines": lines})).await;
            }
            8 => drop(
                service
                    .put(&format!("{path}/options"), &json!({"options": step.to_string()}))
                    .await,
            ),
            _ => {
                // More than is told row by row, now and then.
                let count = if random.random_bool(0.1) { 200 } else { 3 };
                let jobs: Vec<_> =
                    (0..count).map(|at| json!({"name": format!("child {at}")})).collect();
                service.post(&format!("{path}/children"), &json!({"jobs": jobs})).await;
            }
        }
    }
}

/// What events say of a tree.
#[derive(Debug, Default)]
struct History {
    created: BTreeSet<u64>,
    states: BTreeMap<u64, String>,
    changes: BTreeMap<u64, Vec<Value>>,
    lines: BTreeMap<u64, Vec<Value>>,
    last: (u64, u64),
    gaps: usize,
}

impl History {
    /// Takes up a frame; answers whether it is the creation of this job or of a later end.
    fn take(&mut self, frame: &Value, end: u64) -> bool {
        match frame["t"].as_str().unwrap() {
            "gap" => {
                self.gaps += 1;
                self.last = position(&frame["to"]);
                return false;
            }
            "event" => {}
            _ => return false,
        }
        let at = position(&frame["at"]);
        assert!(at > self.last, "{at:?} comes after {:?}", self.last);
        self.last = at;
        let id = frame["id"].as_u64().unwrap();
        match frame["kind"].as_str().unwrap() {
            "created" => drop(self.created.insert(id)),
            "state" => drop(self.states.insert(id, frame["state"].as_str().unwrap().into())),
            "changed" => self.changes.entry(id).or_default().push(frame["change"].clone()),
            "log" => self.lines.entry(id).or_default().push(frame["text"].clone()),
            _ => {}
        }
        frame["kind"] == "created" && id >= end
    }

    /// Compares it with what the store has: all of it, or without gaps exactly it.
    async fn check(&self, service: &Service, root: u64) {
        let path = format!("/api/v1/jobs/{root}/descendants?limit=1000");
        let mut jobs = service.get(&path).await.json()["items"].as_array().unwrap().clone();
        jobs.push(service.get(&format!("/api/v1/jobs/{root}")).await.json());
        let no_gaps = self.gaps == 0;
        for job in jobs {
            let id = job["id"].as_u64().unwrap();
            let list = async |name: &str, field: &str| -> Vec<Value> {
                let reply =
                    service.get(&format!("/api/v1/jobs/{id}/{name}?limit=1000")).await.json();
                let items = reply["items"].as_array().unwrap().iter();
                items
                    .map(|item| if field.is_empty() { item } else { &item[field] }.clone())
                    .collect()
            };
            let changes = list("changes", "").await.split_off(1);
            let lines = list("log", "text").await;
            let (told, told_lines) = (self.changes.get(&id), self.lines.get(&id));
            if no_gaps {
                assert!(self.created.contains(&id) || id == root, "job {id}");
                assert_eq!(told.cloned().unwrap_or_default(), changes, "job {id}");
                assert_eq!(told_lines.cloned().unwrap_or_default(), lines, "job {id}");
                let state = self.states.get(&id).map_or("WaitingToRun", String::as_str);
                assert_eq!(job["state"], state, "job {id}");
            } else {
                // What was told is a part of the history, in its order.
                let mut rest = changes.iter();
                assert!(told.into_iter().flatten().all(|told| rest.any(|change| change == told)));
                let mut rest = lines.iter();
                assert!(told_lines.into_iter().flatten().all(|told| rest.any(|line| line == told)));
            }
        }
    }
}

/// A position as numbers; the end of a version is behind all of its events.
fn position(text: &Value) -> (u64, u64) {
    let text = text.as_str().unwrap();
    match text.split_once('.') {
        Some((version, index)) => (version.parse().unwrap(), index.parse().unwrap()),
        None => (text.parse().unwrap(), u64::MAX),
    }
}

/// How a consumer reads.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// It comes again after this many frames.
    until: usize,
    /// It takes this long for each frame.
    pause: Duration,
}

const PLAIN: Way = Way { until: usize::MAX, pause: Duration::ZERO };
const IN_PIECES: Way = Way { until: 7, ..PLAIN };
const SLOW: Way = Way { pause: Duration::from_millis(3), ..PLAIN };

/// Reads a tree's events until a job is created, and comes again when the service has gone.
async fn history(service: &Service, mut events: Events, end: u64, way: Way) -> History {
    let mut history = History::default();
    loop {
        for _ in 0..way.until {
            let Some(frame) = events.next().await else { break };
            if history.take(&frame, end) {
                return history;
            }
            tokio::time::sleep(way.pause).await;
        }
        let last = events.id.clone();
        drop(events);
        events = service.events(last.as_deref()).await;
    }
}

/// A service that may be killed and started again.
struct Service {
    url: String,
    http: reqwest::Client,
    replies: AtomicU64,
}

impl Service {
    fn at(url: &str) -> Self {
        let (http, replies) = (reqwest::Client::new(), AtomicU64::new(0));
        Self { url: url.to_owned(), http, replies }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.url));
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            // It is killed now and then. A write that was done before is refused or done again,
            // which is as good as any work.
            if let Ok(response) = request.send().await
                && let Some(reply) = Reply::read(response).await
            {
                self.replies.fetch_add(1, Relaxed);
                return reply;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// The events of the tree, as soon as the service answers.
    async fn events(&self, last: Option<&str>) -> Events {
        loop {
            if let Ok(events) = Events::try_open(&self.url, "topic=tree/1", last).await {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn create(&self, id: u64, parent: Option<u64>) {
        let body = json!({"id": id, "parent": parent, "name": format!("job {id}")});
        let reply = self.post("/api/v1/jobs", &body).await;
        assert!([200, 201].contains(&reply.status), "{}", reply.text());
    }
}

/// How often it is tried: more often in a long run.
fn rounds(few: u64) -> u64 {
    if std::env::var_os("JOBTRACKER_LONG").is_some() { 20 * few } else { few }
}

const END: u64 = 1_000_000;

#[tokio::test]
async fn what_was_told_is_what_there_is() {
    let kinds = (0..rounds(1)).flat_map(|_| STORES);
    for (round, kind) in kinds.enumerate() {
        let harness = Harness::start(kind, |_| {}).await;
        let service = Service::at(harness.url());
        harness.create(1, None).await;
        let shown: Vec<u64> = (1..=JOBS).collect();
        let watch = async {
            let mut socket = Socket::open(&harness).await;
            socket.say(&json!({"t": "sub", "sub": 7, "topic": "rows/1", "ids": shown})).await;
            let mut kept = Rows::default();
            loop {
                kept.take(&socket.of("snap").await);
                // The job that ends it is not shown, and is counted by its root.
                let snapshot = rows(&harness, 1, &shown, None).await.json();
                let stored = snapshot["rows"].as_array().unwrap();
                if harness.get(&format!("/api/v1/jobs/{END}")).await.status == 200
                    && kept.rows.values().eq(stored)
                {
                    return;
                }
            }
        };
        let is_done = Semaphore::new(0);
        let work = async {
            let mut random = StdRng::seed_from_u64(round as u64);
            work(&service, &mut random, 200).await;
            harness.create(END, Some(1)).await;
            is_done.add_permits(1);
        };
        // The first frame says that it has begun.
        let mut begun = Vec::new();
        for _ in 0..4 {
            let mut events = Events::open(&harness, "topic=tree/1", None).await;
            events.of("mark").await;
            begun.push(events);
        }
        let mut next = || begun.remove(0);
        let whole = history(&service, next(), END, PLAIN);
        let pieces = history(&service, next(), END, IN_PIECES);
        let slow = history(&service, next(), END, SLOW);
        // It takes nothing before all is done.
        let stalled = next();
        let stalled = async {
            is_done.acquire().await.unwrap().forget();
            history(&service, stalled, END, PLAIN).await
        };
        let (whole, pieces, slow, stalled, (), ()) =
            tokio::join!(whole, pieces, slow, stalled, watch, work);
        for history in [whole, pieces, slow, stalled] {
            history.check(&service, 1).await;
        }
        harness.stop().await;
    }
}

/// After a kill the same holds of those that come again: what was told is a part of what there is,
/// and it is told that something is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_before_a_kill_and_after_it_is_what_there_is() {
    let data = tempfile::tempdir().unwrap();
    let settings = embedded(data.path());
    let mut process = Process::start(ANY_PORT, &settings);
    let listen = process.address().to_owned();
    let service = Arc::new(Service::at(&format!("http://{listen}")));
    service.create(1, None).await;
    let readers = [PLAIN, IN_PIECES].map(|way| {
        let service = Arc::clone(&service);
        async move {
            let events = service.events(None).await;
            history(&service, events, END, way).await
        }
    });
    let readers = readers.map(tokio::spawn);
    for round in 0..rounds(3) {
        let mut random = StdRng::seed_from_u64(round);
        let working = Arc::clone(&service);
        let begun = service.replies.load(Relaxed);
        let working = tokio::spawn(async move { work(&working, &mut random, 70).await });
        // Some of the work is done when it is killed.
        while service.replies.load(Relaxed) < begun + 30 {
            tokio::task::yield_now().await;
        }
        process.kill();
        process = Process::start(&listen, &settings);
        working.await.unwrap();
    }
    // A reader that has not come again is told of a gap, so there is another end for it.
    let mut told = Box::pin(timeout(GUARD, join_all(readers)));
    let mut end = END;
    let told = loop {
        service.create(end, Some(1)).await;
        end += 1;
        if let Ok(told) = timeout(Duration::from_millis(500), &mut told).await {
            break told.unwrap();
        }
    };
    for history in told {
        history.unwrap().check(&service, 1).await;
    }
    drop(process);
}

/// Two servers on one store: what each tells of the work of both.
#[tokio::test]
async fn what_two_servers_tell_is_what_there_is() {
    let lent = Lent::new().await;
    let start = async || {
        let store = ScyllaStore::open(&lent.options).await.unwrap();
        Harness::on(Arc::new(store), None, |_| {})
    };
    let (one, other) = (start().await, start().await);
    one.create(1, None).await;
    let services = [Service::at(one.url()), Service::at(other.url())];
    let mut begun = Vec::new();
    for harness in [&one, &other] {
        let mut events = Events::open(harness, "topic=tree/1", None).await;
        events.of("mark").await;
        begun.push(events);
    }
    let work = async {
        let mut random = StdRng::seed_from_u64(9);
        for number in 0..rounds(20) {
            work(&services[number as usize % 2], &mut random, 5).await;
        }
        one.create(END, Some(1)).await;
    };
    let mut next = || begun.remove(0);
    let told = history(&services[0], next(), END, PLAIN);
    let told_elsewhere = history(&services[1], next(), END, IN_PIECES);
    let (told, told_elsewhere, ()) = tokio::join!(told, told_elsewhere, work);
    told.check(&services[1], 1).await;
    told_elsewhere.check(&services[0], 1).await;
    one.stop().await;
    other.stop().await;
    drop(lent);
}
