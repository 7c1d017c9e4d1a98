//! A worker on a WebSocket.

use actix_http::ws::{CloseCode, Frame, Message};
use jobtracker_model::{WorkerAnswer, WorkerCall, WorkerOp};
use serde_json::{Value, json};

use super::{LONG, Player, SHORT_MS, offering};
use crate::{
    harness::{Harness, STORES},
    live::reader::Socket,
};
use jobtracker_client::{JobId, NewJob, NewTask, State};

/// Its requests have numbers, and answers may come in another order.
struct Caller {
    socket: Socket,
    next: u64,
    answers: Vec<WorkerAnswer>,
}

impl Caller {
    async fn open(harness: &Harness) -> Self {
        let (socket, answer) = Socket::ask_at(harness, "workers/socket", "").await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self { socket, next: 0, answers: Vec::new() }
    }

    /// Sends a call; answers its number.
    async fn send(&mut self, op: WorkerOp, more: Value) -> u64 {
        self.next += 1;
        let mut call = json!({"call": self.next, "op": op});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<WorkerCall>(call.clone()).unwrap();
        self.socket.say(&call).await;
        self.next
    }

    /// The answer to a call: its status and its body.
    async fn answer(&mut self, call: impl Into<Option<u64>>) -> (u16, Value) {
        let call = call.into();
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer.call == call) {
                let WorkerAnswer { status, body, .. } = self.answers.swap_remove(at);
                let body = body.map(|body| serde_json::from_str(body.as_str()).unwrap());
                return (status, body.unwrap_or_default());
            }
            match self.socket.message().await {
                Some(Frame::Text(text)) => {
                    self.answers.push(serde_json::from_slice(&text).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn call(&mut self, op: WorkerOp, more: Value) -> (u16, Value) {
        let call = self.send(op, more).await;
        self.answer(call).await
    }

    async fn register(&mut self) -> String {
        let body = json!(offering("w", &[]));
        let (status, registered) = self.call(WorkerOp::RegisterWorker, json!({"body": body})).await;
        assert_eq!(status, 201);
        registered["id"].as_str().unwrap().to_owned()
    }

    /// Begins to wait for a task.
    async fn wait(&mut self, worker: &str) -> u64 {
        let body = json!({"free": 1, "waitMs": LONG.as_millis() as u64});
        self.send(WorkerOp::ClaimTasks, json!({"worker": worker, "body": body})).await
    }
}

async fn task(harness: &Harness) -> JobId {
    let job = NewJob::new("job").task(NewTask::new("test/run"));
    harness.client().create(job).await.unwrap().id
}

#[tokio::test]
async fn a_worker_claims_and_reports_over_one_connection() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let mut caller = Caller::open(&harness).await;
        let worker = caller.register().await;
        let claim = caller.wait(&worker).await;
        // The claim waits, and the connection does not.
        let beat = json!({"worker": worker, "body": {"load": {}, "tasks": []}});
        assert_eq!(caller.call(WorkerOp::Heartbeat, beat).await.0, 200);
        assert!(caller.answers.is_empty());
        let job = task(&harness).await;
        let (status, claimed) = caller.answer(claim).await;
        assert_eq!((status, &claimed["tasks"][0]["job"]), (200, &json!(job)));
        let epoch = &claimed["tasks"][0]["epoch"];
        let held = |more: Value| {
            let mut body = json!({"worker": worker, "epoch": epoch});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"job": job, "body": body})
        };
        let lines = held(json!({"lines": ["half"]}));
        let (status, appended) = caller.call(WorkerOp::AppendLogOfTask, lines).await;
        assert_eq!((status, &appended["count"]), (200, &json!(1)), "{appended}");
        let jobs = held(json!({"jobs": [{"name": "part"}]}));
        assert_eq!(caller.call(WorkerOp::CreateChildrenOfTask, jobs).await.0, 201);
        let report = held(json!({"state": "succeeded"}));
        let (status, reported) = caller.call(WorkerOp::ReportTask, report).await;
        assert_eq!((status, &reported["repeated"]), (200, &json!(false)));
        let state = harness.client().state(job).await.unwrap();
        assert_eq!(state, State::WaitingForChildrenToComplete);
        assert_eq!(caller.call(WorkerOp::DrainWorker, json!({"worker": worker})).await.0, 200);
        let left = caller.call(WorkerOp::LeaveWorker, json!({"worker": worker})).await;
        assert_eq!(left, (204, Value::Null));
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_a_worker_calls_for_wrongly_is_refused_and_the_connection_goes_on() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut caller = Caller::open(&harness).await;
    for text in ["{", "{\"call\": 1}", "{\"call\": 1, \"op\": \"kickWorker\"}"] {
        caller.socket.send(Message::Text(text.into())).await;
        let (status, problem) = caller.answer(None).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_json")), "{text}");
    }
    let report = json!({"worker": "w", "epoch": 1, "state": "succeeded"});
    let deleted = task(&harness).await;
    harness.client().delete_tree(deleted).await.unwrap();
    for (op, more, code) in [
        (WorkerOp::ClaimTasks, json!({"body": {"free": 1}}), "invalid_field"),
        (WorkerOp::ClaimTasks, json!({"worker": "w"}), "invalid_field"),
        (WorkerOp::ClaimTasks, json!({"worker": "w", "body": {"free": "x"}}), "invalid_json"),
        (WorkerOp::ClaimTasks, json!({"worker": "w", "body": {"free": 1}}), "worker_not_found"),
        (WorkerOp::ReportTask, json!({"body": report}), "invalid_field"),
        (WorkerOp::ReportTask, json!({"job": 77, "body": report}), "job_not_found"),
        (WorkerOp::ReportTask, json!({"job": deleted, "body": report}), "gone"),
    ] {
        let told = format!("{op:?} {more}");
        let (status, problem) = caller.call(op, more).await;
        assert_eq!(problem["code"], code, "{told}");
        assert_eq!(problem["status"], status, "{told}");
    }
    let job = task(&harness).await;
    let stale = caller.call(WorkerOp::ReportTask, json!({"job": job, "body": report})).await;
    assert_eq!((stale.0, &stale.1["code"]), (409, &json!("stale_lease")));
    harness.stop().await;
}

/// The longest call.
const LONGEST: usize = 1024 * 1024;

/// A claim that waits for a task, with spaces behind it that make it this long.
fn claim_of(worker: &str, bytes: usize) -> Message {
    let body = json!({"free": 1, "waitMs": LONG.as_millis() as u64});
    let call = json!({"call": 0, "op": WorkerOp::ClaimTasks, "worker": worker, "body": body});
    let mut text = call.to_string();
    text.push_str(&" ".repeat(bytes - text.len()));
    Message::Text(text.into())
}

#[tokio::test]
async fn a_call_that_is_too_long_ends_the_connection() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut caller = Caller::open(&harness).await;
    let worker = caller.register().await;
    caller.socket.send(claim_of(&worker, LONGEST)).await;
    harness.waits(1).await;
    caller.socket.send(claim_of(&worker, LONGEST + 1)).await;
    match caller.socket.message().await {
        Some(Frame::Close(Some(reason))) => assert_eq!(reason.code, CloseCode::Size),
        other => panic!("{other:?}"),
    }
    harness.stop().await;
}

/// What is worked on is bounded in bytes too: behind four of the longest calls, which wait for
/// tasks, the next waits until one of them is answered.
#[tokio::test]
async fn calls_wait_for_room() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut caller = Caller::open(&harness).await;
    let worker = caller.register().await;
    for _ in 0..4 {
        caller.socket.send(claim_of(&worker, LONGEST)).await;
    }
    harness.waits(4).await;
    let beat = json!({"worker": worker, "body": {"load": {}, "tasks": []}});
    let beat = caller.send(WorkerOp::Heartbeat, beat).await;
    task(&harness).await;
    let (status, claimed) = caller.answer(0).await;
    assert_eq!((status, claimed["tasks"].as_array().unwrap().len()), (200, 1), "{claimed}");
    assert!(caller.answers.is_empty(), "{:?}", caller.answers);
    assert_eq!(caller.answer(beat).await.0, 200);
    harness.stop().await;
}

/// Nothing is given to a worker that has gone while it waited.
#[tokio::test]
async fn a_claim_that_waits_ends_with_its_connection() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut caller = Caller::open(&harness).await;
    let worker = caller.register().await;
    caller.wait(&worker).await;
    harness.waits(1).await;
    drop(caller);
    harness.waits(0).await;
    let other = Player::new(&harness, "other", &[]).await;
    let job = task(&harness).await;
    assert_eq!(other.claim().await.job, job);
    harness.stop().await;
}

/// A stop of the service answers what waits, and then closes.
#[tokio::test]
async fn a_stop_answers_what_waits() {
    let harness = Harness::start(STORES[0], |config| config.workers.lease_ms = SHORT_MS).await;
    let mut caller = Caller::open(&harness).await;
    let worker = caller.register().await;
    let claim = caller.wait(&worker).await;
    let stopping = tokio::spawn(harness.stop());
    let (status, problem) = caller.answer(claim).await;
    assert_eq!((status, &problem["code"]), (503, &json!("shutting_down")));
    match caller.socket.message().await {
        Some(Frame::Close(Some(reason))) => assert_eq!(reason.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
    stopping.await.unwrap();
}
