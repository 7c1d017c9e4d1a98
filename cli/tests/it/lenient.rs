//! Input of people and of other languages that has only one possible meaning.

use serde_json::json;

use crate::harness::{Harness, STORES};

/// One past the integers that JavaScript can hold.
const JAVASCRIPT: u64 = 1 << 53;

#[tokio::test]
async fn ids_may_be_texts_of_digits_in_every_request() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let (root, child) = ("9223372036854775806", "9007199254740993");
    let reply = harness.post("/api/v1/jobs", &json!({"id": root, "name": "root"})).await;
    assert_eq!((reply.status, &*reply.json()["id"].to_string()), (201, root));
    let job = json!({"id": child, "parent": root, "name": "a"});
    assert_eq!(harness.post("/api/v1/jobs", &job).await.status, 201);
    let children = json!({"jobs": [{"id": "7", "name": "b"}]});
    let reply = harness.post(&format!("/api/v1/jobs/{root}/children"), &children).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let states = harness.post("/api/v1/jobs/states", &json!({"ids": [child, "7", 8]})).await;
    assert_eq!(states.json()["items"][2]["id"], 8);
    assert_eq!(harness.get(&format!("/api/v1/jobs/{child}")).await.status, 200);
    harness.stop().await;
}

#[tokio::test]
async fn ids_that_are_given_out_are_numbers_in_every_language() {
    for kind in [STORES[0], STORES[1]] {
        let harness = Harness::start(kind, |_| {}).await;
        // With any ids that creators choose.
        for id in [JAVASCRIPT + 1, i64::MAX as u64] {
            harness.create(id, None).await;
        }
        let block = harness.post("/api/v1/ids", &json!({"count": 1_000})).await.json();
        let created = harness.post("/api/v1/jobs", &json!({"name": "a"})).await.json();
        for id in [&block["first"], &created["id"]] {
            assert!(id.as_u64().unwrap() < JAVASCRIPT, "{id}");
        }
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_offset_with_a_plus_that_was_not_escaped_is_taken() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    for (from, found) in [
        ("2020-01-01T00:00:00+00:00", 1),
        ("2020-01-01T00:00:00.5+01:00", 1),
        ("2020-01-01 00:00:00+01:00", 1),
        ("2020-01-01T00:00:00%2B01:00", 1),
        ("9999-12-31T23:59:59+00:00", 0),
        ("9999-12-31T23:59:59.999Z", 0),
    ] {
        let reply = harness.get(&format!("/api/v1/roots?from={from}")).await;
        assert_eq!(reply.status, 200, "{from}: {}", reply.text());
        assert_eq!(reply.json()["items"].as_array().unwrap().len(), found, "{from}");
        let reply = harness.get(&format!("/api/v1/deliveries/failed?from={from}")).await;
        assert_eq!(reply.status, 200, "{from}: {}", reply.text());
    }
    for from in ["2020-01-01T00:00:00", "2020-01-01", "2020-01-01+00:00"] {
        let reply = harness.get(&format!("/api/v1/roots?from={from}")).await;
        reply.assert_problem("invalid_query");
        assert!(reply.text().contains("with an offset"), "{}", reply.text());
    }
    harness.stop().await;
}
