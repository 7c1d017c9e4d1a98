//! Every invalid request gets its code, and leaves the store unchanged.

mod addresses;
mod bodies;
mod fields;
mod json;
mod trees;

use jobtracker_model::limits;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

/// The largest body of these tests.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
const JSON: &str = "application/json";

struct Bad {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    code: &'static str,
}

impl Bad {
    fn new(method: Method, path: &str, code: &'static str) -> Self {
        let path = format!("/api/v1{path}");
        Self { method, path, headers: Vec::new(), body: Vec::new(), code }
    }

    fn get(path: &str, code: &'static str) -> Self {
        Self::new(Method::GET, path, code)
    }

    fn raw(path: &str, body: impl Into<Vec<u8>>, code: &'static str) -> Self {
        Self::new(Method::POST, path, code).header("content-type", JSON).body(body)
    }

    fn json(path: &str, body: &Value, code: &'static str) -> Self {
        Self::raw(path, body.to_string(), code)
    }

    fn text(method: Method, path: &str, body: impl Into<Vec<u8>>, code: &'static str) -> Self {
        Self::new(method, path, code).header("content-type", "text/plain").body(body)
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    async fn send(self, harness: &Harness) {
        let mut request = harness.request(self.method.clone(), &self.path).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let reply = Reply::of(request).await;
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(120)]).into_owned();
        println!("{} {} {start:?}: {}", self.method, self.path, reply.status);
        reply.assert_problem(self.code);
    }
}

/// A tree with all kinds of data: 100 with the children 101 and 102, and a chain of jobs 200 to
/// 264, the last of which is as deep as a job may be.
async fn plant(harness: &Harness) {
    for (id, parent) in [(100, None), (101, Some(100)), (102, Some(100)), (200, None)] {
        harness.create(id, parent).await;
    }
    for id in 201..=200 + u64::from(limits::DEPTH) {
        harness.create(id, Some(id - 1)).await;
    }
    let change = json!({"state": "Running", "changeId": "c-1"});
    assert_eq!(harness.post("/api/v1/jobs/101/changes", &change).await.status, 200);
    let lines = json!({"lines": ["one", "two"], "appendId": "a-1"});
    assert_eq!(harness.post("/api/v1/jobs/101/log", &lines).await.status, 200);
    for number in 0..limits::ATTACHMENTS {
        let path = format!("/api/v1/jobs/102/attachments/key-{number}");
        let put = harness.request(Method::PUT, &path).header("content-type", "text/plain");
        assert_eq!(Reply::of(put.body("text")).await.status, 201);
    }
}

/// All that the API shows of the trees.
async fn dump(harness: &Harness) -> Vec<Value> {
    let mut seen = vec![harness.get("/api/v1/roots?limit=1000").await.json()];
    for id in [100, 101, 102, 200, 264] {
        let job = format!("/api/v1/jobs/{id}");
        for part in ["", "/descendants?limit=1000", "/changes", "/log", "/attachments"] {
            seen.push(harness.get(&format!("{job}{part}")).await.json());
        }
    }
    let missing = json!({"ids": [7, 300, 301, 302, 303]});
    seen.push(harness.post("/api/v1/jobs/states", &missing).await.json());
    seen
}

async fn all_refused(cases: fn() -> Vec<Bad>) {
    for kind in STORES {
        let harness = Harness::start(kind, |config| {
            config.server.body_limit_bytes = BODY_LIMIT;
        })
        .await;
        plant(&harness).await;
        let before = dump(&harness).await;
        for case in cases() {
            case.send(&harness).await;
        }
        assert_eq!(dump(&harness).await, before);
        harness.stop().await;
    }
}

fn x(length: usize) -> String {
    "x".repeat(length)
}
