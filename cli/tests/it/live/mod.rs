//! Live views: what clients are told of trees while they change, by polling, by server-sent events
//! and over a WebSocket.

mod cluster;
mod ends;
mod idle;
mod lists;
mod property;
pub mod reader;
mod resume;
mod schema;
mod sockets;
mod states;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

/// The rows of these jobs, as a caller without a connection asks for them.
async fn rows(harness: &Harness, root: u64, ids: &[u64], since: Option<u64>) -> Reply {
    let body = json!({"root": root, "ids": ids, "since": since});
    harness.post("/api/v1/jobs/rows", &body).await
}

/// Ends when one more connection is taken.
async fn until_there_is_room(harness: &Harness) {
    let path = "/api/v1/events?topic=tree/1";
    while harness.request(Method::HEAD, path).send().await.unwrap().status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rows_are_of_one_version_and_come_again_only_when_it_has_moved() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(1, None).await;
        harness.create(2, Some(1)).await;
        harness.create(9, None).await;
        harness.report(2, "Running").await;
        let snapshot = rows(&harness, 1, &[2, 1, 2, 9, 77], None).await.json();
        let job = harness.get("/api/v1/jobs/1").await.json();
        let statistics = harness.get("/api/v1/jobs/1/statistics").await.json();
        assert_eq!(
            snapshot["missing"],
            json!([9, 77]),
            "a job of another tree is none of this one"
        );
        let ids: Vec<_> =
            snapshot["rows"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [1, 2]);
        let row = &snapshot["rows"][0];
        for name in ["state", "children", "subtree", "startTime", "changes", "logLines"] {
            assert_eq!(row[name], job[name], "{name}");
        }
        assert_eq!(row["treeStart"], statistics["treeStart"]);
        for name in ["name", "parent", "depth", "createdBy", "tags", "createTime"] {
            assert_eq!(row["definition"][name], job[name], "{name}");
        }
        let version = snapshot["version"].as_u64().unwrap();
        let same = rows(&harness, 1, &[1, 2], Some(version)).await.json();
        let none: [Value; 0] = [];
        assert_eq!(same, json!({"root": 1, "version": version, "from": version, "rows": none}));
        harness.report(2, "RanToCompletion").await;
        let moved = rows(&harness, 1, &[2], Some(version)).await.json();
        assert_eq!(moved["version"], version + 1);
        assert_eq!(moved["rows"][0]["state"], "RanToCompletion");

        rows(&harness, 77, &[77], None).await.assert_problem("job_not_found");
        rows(&harness, 2, &[2], None).await.assert_problem("invalid_field");
        rows(&harness, 1, &[], None).await.assert_problem("invalid_field");
        rows(&harness, 1, &(1..=501).collect::<Vec<_>>(), None)
            .await
            .assert_problem("invalid_field");
        harness.stop().await;
    }
}
