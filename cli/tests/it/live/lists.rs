//! What is told of workers, of schedules and of the queue when they change.

use std::collections::BTreeMap;

use jobtracker_client::{
    NewJob, NewTask, NewWorker, Payload, WorkerHandler,
    schedule::{NewSchedule, RunTemplate, ScheduleDefinition, ScheduleTrigger},
};
use jobtracker_model::live::{Frame, ListState, ServerFrame};
use jobtracker_server::StoreKind;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::reader::{Events, GUARD};
use crate::harness::Harness;

fn worker() -> NewWorker {
    let handler = WorkerHandler { name: "test/a".into(), description: String::new() };
    let (tags, labels) = (Vec::new(), BTreeMap::new());
    NewWorker { name: "w".into(), handlers: vec![handler], tags, labels, slots: 4 }
}

/// A list as a client keeps it that takes up one frame after the other.
#[derive(Default)]
struct Kept {
    version: Value,
    keys: Vec<String>,
    rows: BTreeMap<String, Value>,
}

impl Kept {
    fn take(&mut self, frame: &Value, key: &str) {
        if frame["from"].is_null() {
            self.rows.clear();
        } else {
            assert_eq!(frame["from"], self.version, "a change of another state");
        }
        if let Some(keys) = frame["keys"].as_array() {
            self.keys = keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        }
        for row in frame["rows"].as_array().unwrap() {
            self.rows.insert(row[key].as_str().unwrap().to_owned(), row.clone());
        }
        self.rows.retain(|key, _| self.keys.contains(key));
        assert_eq!(self.rows.len(), self.keys.len(), "each row is known");
        self.version = frame["version"].clone();
    }
}

#[tokio::test]
async fn workers_and_schedules_and_the_queue_are_told_when_they_change() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let id = client.register_worker(&worker()).await.unwrap().id;
    let far = ScheduleTrigger::FixedDelay { delay_ms: 86_400_000 };
    for name in ["nightly-a", "nightly-b", "other"] {
        let definition = ScheduleDefinition::new([far.clone()]);
        client.create_schedule(&NewSchedule::new(name, definition)).await.unwrap();
    }

    let mut workers = Events::open(&harness, "topic=workers", None).await;
    let mut kept = Kept::default();
    kept.take(&workers.of("workers").await, "id");
    assert_eq!((kept.keys.len(), &kept.rows[&id]["state"]), (1, &json!("online")));
    client.drain_worker(&id).await.unwrap();
    let draining = async {
        while kept.rows[&id]["state"] != "draining" {
            let frame = workers.of("workers").await;
            assert!(frame["keys"].is_null(), "the list has the same rows: {frame}");
            kept.take(&frame, "id");
        }
    };
    timeout(GUARD, draining).await.unwrap();

    let query = "topic=schedules&filter=namePrefix%3Dnightly";
    let mut schedules = Events::open(&harness, query, None).await;
    let mut kept = Kept::default();
    kept.take(&schedules.of("schedules").await, "name");
    assert_eq!(kept.keys, ["nightly-a", "nightly-b"]);
    client.enable_schedule("nightly-b", false).await.unwrap();
    let frame = schedules.of("schedules").await;
    assert_eq!(frame["rows"].as_array().unwrap().len(), 1, "only what differs: {frame}");
    kept.take(&frame, "name");
    assert_eq!(kept.rows["nightly-b"]["enabled"], false);
    client.delete_schedule("nightly-a", None).await.unwrap();
    kept.take(&schedules.of("schedules").await, "name");
    assert_eq!(kept.keys, ["nightly-b"]);

    let mut queue = Events::open(&harness, "topic=queue", None).await;
    assert_eq!(queue.of("queue").await["counts"]["ready"], 0);
    client.create(NewJob::new("work").task(NewTask::new("test/a"))).await.unwrap();
    let frame = queue.of("queue").await;
    assert_eq!(frame["counts"]["ready"], 1);
    assert_eq!(frame["counts"]["handlers"][0]["handler"], "test/a");
    for filter in ["limit=201", "cursor=x", "colour=red"] {
        let filter = filter.replace('=', "%3D");
        let reply = harness.get(&format!("/api/v1/events?topic=schedules&filter={filter}")).await;
        reply.assert_problem("invalid_field");
    }
    harness.stop().await;
}

/// The client keeps JSON as it came, and reads each frame.
#[tokio::test]
async fn the_client_reads_a_schedule_with_parameters() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let json = r#"{"a":[1,{"b":12345678901234567890123.10}],"t":"schedules","sub":[null]}"#;
    let task = NewTask::new("test/a").params(Payload::parse(json).unwrap());
    let run = RunTemplate { task: Some(task), ..RunTemplate::default() };
    let definition = ScheduleDefinition { run, ..ScheduleDefinition::new([]) };
    client.create_schedule(&NewSchedule::new("with", definition)).await.unwrap();
    let response = harness.request(Method::GET, "/api/v1/events?topic=schedules").send();
    let (mut response, mut came) = (response.await.unwrap(), String::new());
    let read = async {
        loop {
            let mut whole = came.rsplit_once("\n\n").map_or("", |(whole, _)| whole).lines();
            if let Some(data) = whole.find(|line| line.contains(r#""t":"schedules","version""#)) {
                let text = data.strip_prefix("data: ").unwrap();
                return serde_json::from_str::<ServerFrame>(text).unwrap();
            }
            let chunk = response.chunk().await.unwrap().unwrap();
            came.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    let frame = timeout(GUARD, read).await.unwrap();
    let Frame::Schedules(ListState { mut rows, .. }) = frame.frame else { panic!("{frame:?}") };
    let params = rows.remove(0).definition.run.task.unwrap().params.unwrap();
    assert_eq!((params.as_str(), frame.sub), (json, Some(1)));
    harness.stop().await;
}
