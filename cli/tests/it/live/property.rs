//! After any sequence of work, the last rows that were told are those of the store, and the events
//! that were told, gaps put apart, are the history.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    reader::{Events, Rows, Socket},
    rows,
};
use crate::harness::{Harness, STORES};

const JOBS: u64 = 30;

/// Random work at a tree.
async fn work(harness: &Harness, random: &mut StdRng, steps: u64) {
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
                harness.post("/api/v1/jobs", &body).await;
            }
            3..7 => {
                let states = ["Running", "Warning", "RanToCompletion", "Faulted"];
                let state = states[random.random_range(0..4)];
                let body = json!({"state": state, "message": format!("step {step}")});
                harness.post(&format!("{path}/changes"), &body).await;
            }
            7 => {
                let lines = [format!("line {step}"), "another".into()];
                harness.post(&format!("{path}/log"), &json!({"lines": lines})).await;
            }
            8 => drop(
                harness
                    .put(&format!("{path}/options"), &json!({"options": step.to_string()}))
                    .await,
            ),
            _ => {
                // More than is told row by row, now and then.
                let count = if random.random_bool(0.1) { 200 } else { 3 };
                let jobs: Vec<_> =
                    (0..count).map(|at| json!({"name": format!("child {at}")})).collect();
                harness.post(&format!("{path}/children"), &json!({"jobs": jobs})).await;
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
    /// Takes up a frame; answers whether it is the creation of this job.
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
        frame["kind"] == "created" && id == end
    }

    /// Compares it with what the store has: all of it, or without gaps exactly it.
    async fn check(&self, harness: &Harness, root: u64) {
        let path = format!("/api/v1/jobs/{root}/descendants?limit=1000");
        let mut jobs = harness.get(&path).await.json()["items"].as_array().unwrap().clone();
        jobs.push(harness.get(&format!("/api/v1/jobs/{root}")).await.json());
        let no_gaps = self.gaps == 0;
        for job in jobs {
            let id = job["id"].as_u64().unwrap();
            let list = async |name: &str, field: &str| -> Vec<Value> {
                let reply =
                    harness.get(&format!("/api/v1/jobs/{id}/{name}?limit=1000")).await.json();
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

/// Reads a tree's events until a job is created, coming again after each `until` frames.
async fn history(harness: &Harness, mut events: Events, end: u64, until: usize) -> History {
    let mut history = History::default();
    loop {
        for _ in 0..until {
            let frame = events.next().await.unwrap();
            if history.take(&frame, end) {
                return history;
            }
        }
        let last = events.id.clone();
        drop(events);
        events = Events::open(harness, "topic=tree/1", last.as_deref()).await;
    }
}

#[tokio::test]
async fn what_was_told_is_what_there_is() {
    const END: u64 = 1_000_000;
    for (round, kind) in STORES.into_iter().enumerate() {
        let harness = Harness::start(kind, |_| {}).await;
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
        let work = async {
            let mut random = StdRng::seed_from_u64(round as u64);
            work(&harness, &mut random, 200).await;
            harness.create(END, Some(1)).await;
        };
        // The first frame says that it has begun.
        let mut begun = Vec::new();
        for _ in 0..2 {
            let mut events = Events::open(&harness, "topic=tree/1", None).await;
            events.of("mark").await;
            begun.push(events);
        }
        let whole = history(&harness, begun.remove(0), END, usize::MAX);
        let pieces = history(&harness, begun.remove(0), END, 7);
        let (whole, pieces, (), ()) = tokio::join!(whole, pieces, watch, work);
        for history in [whole, pieces] {
            history.check(&harness, 1).await;
        }
        harness.stop().await;
    }
}
