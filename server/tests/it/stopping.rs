//! A stop lets requests end, ends waits, and loses nothing.

use serde_json::json;

use crate::harness::{Harness, STORES};

#[tokio::test]
async fn a_stop_ends_waits_at_once() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let path = "/api/v1/jobs/100/wait?timeoutMs=60000";
        let request = harness.request(reqwest::Method::GET, path);
        let waiting = tokio::spawn(crate::harness::Reply::of(request));
        harness.waits(1).await;
        harness.stop().await;
        waiting.await.unwrap().assert_problem("shutting_down");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut harness = Harness::start(STORES[1], |_| {}).await;
    for round in 0..3_u64 {
        let root =
            harness.post("/api/v1/jobs", &json!({"name": "root"})).await.json()["id"].clone();
        let jobs: Vec<_> = (0..50).map(|_| json!({"name": "child"})).collect();
        let path = format!("/api/v1/jobs/{root}/children");
        assert_eq!(harness.post(&path, &json!({"jobs": jobs})).await.status, 201);
        let directory = harness.stop().await.unwrap();
        harness = Harness::restart(directory, |_| {}).await;
        let shown = harness.get(&format!("/api/v1/jobs/{root}")).await.json();
        assert_eq!(shown["children"]["pending"], 50);
        assert_eq!(harness.get("/api/v1/roots").await.json()["total"], round + 1);
    }
    harness.stop().await;
}

#[tokio::test]
async fn writes_during_a_stop_are_acknowledged_or_not_done() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    let request = |id: u64| {
        let request = harness.request(reqwest::Method::POST, "/api/v1/jobs");
        request.json(&json!({"id": id, "name": "a"}))
    };
    let writing: Vec<_> = (1..=200)
        .map(|id| {
            let request = request(id);
            tokio::spawn(async move { (id, request.send().await) })
        })
        .collect();
    let directory = harness.stop().await.unwrap();
    let harness = Harness::restart(directory, |_| {}).await;
    for write in writing {
        let (id, reply) = write.await.unwrap();
        let found = harness.get(&format!("/api/v1/jobs/{id}")).await.status;
        match reply.map(|reply| reply.status().as_u16()) {
            Ok(201) => assert_eq!(found, 200, "job {id} was acknowledged"),
            Ok(status) => assert_eq!((status, found), (503, 404), "job {id} was refused"),
            // The connection was cut: either may be.
            Err(_) => assert!(found == 200 || found == 404),
        }
    }
    harness.stop().await;
}
