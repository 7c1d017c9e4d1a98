//! A long or odd message is never the reason that a state is refused, and equivalent input is
//! treated as equal.

use std::borrow::Cow;

use jobtracker_model::{
    Change, NewChange, State, Timestamp,
    upload::{Record, Writer},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    commits::stream::{id, tree_begin},
    harness::{Harness, Reply, STORES},
};

const CHANGES: &str = "/api/v1/jobs/100/changes";

async fn last_change(harness: &Harness, job: u64) -> Value {
    let changes = harness.get(&format!("/api/v1/jobs/{job}/changes")).await.json();
    changes["items"].as_array().unwrap().last().unwrap().clone()
}

fn trace() -> String {
    let line = "  at app.Importer.read(Importer.java:4711) – größer\n";
    format!("java.io.IOException: read\n{}Caused by: the disk is full", line.repeat(180))
}

fn assert_shortened(message: &Value, whole: &str) {
    let message = message.as_str().unwrap();
    assert!(message.len() <= 4096 && message.starts_with("java.io.IOException: read\n  at app"));
    assert!(message.ends_with("Caused by: the disk is full"), "{message}");
    assert!(message.contains(&format!("it has {} bytes", whole.len())), "{message}");
}

#[tokio::test]
async fn a_state_is_taken_with_a_long_message() {
    let trace = trace();
    assert!(trace.len() > 9_700);
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let change = json!({"state": "Faulted", "message": trace, "reasonCode": "r".repeat(65),
            "changeId": "c"});
        for repeated in [false, true] {
            let reply = harness.post(CHANGES, &change).await;
            let expected =
                json!({"applied": true, "repeated": repeated, "state": "Faulted", "changes": 2});
            assert_eq!(reply.json(), expected);
        }
        let last = last_change(&harness, 100).await;
        assert_shortened(&last["message"], &trace);
        assert_eq!(last["reasonCode"], "r".repeat(64));
        harness.stop().await;
    }
}

/// In an upload, for a new job and for an existing one.
#[tokio::test]
async fn a_commit_is_taken_with_long_messages() {
    let trace = trace();
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    let mut writer = Writer::new(true);
    let report = |writer: &mut Writer| {
        let change = NewChange::new(State::Faulted).message(&trace).reason_code("");
        let change = Change::recorded(change, Timestamp::from_millis(5_000).unwrap());
        writer.write(&Record::Change { order: 2, change: Cow::Owned(change) }).unwrap();
        writer.tree_end();
    };
    tree_begin(&mut writer, 200);
    report(&mut writer);
    writer.write(&Record::Tree { root: id(100) }).unwrap();
    writer.write(&Record::Existing { id: id(100) }).unwrap();
    report(&mut writer);
    writer.end();
    let outcome = harness.send_commit("c", writer.take()).await.json();
    assert_eq!((&outcome["applied"], &outcome["refused"]), (&json!(2), &json!(0)), "{outcome}");
    for job in [100, 200] {
        let last = last_change(&harness, job).await;
        assert_shortened(&last["message"], &trace);
        assert_eq!(last["reasonCode"], Value::Null);
    }
    harness.stop().await;
}

#[tokio::test]
async fn what_is_no_text_is_replaced() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let send = async |method: Method, path: &str, body: &[u8]| {
        let request = harness.request(method, path).header("content-type", "application/json");
        Reply::of(request.body(body.to_owned())).await
    };
    let job = br#"{"id": 100, "name": "a", "options": "c\ud83dd"}"#;
    assert_eq!(send(Method::POST, "/api/v1/jobs", job).await.status, 201);
    assert_eq!(harness.get("/api/v1/jobs/100").await.json()["options"], "c\u{FFFD}d");

    for (body, message) in [
        (&br#"{"state": "Warning", "message": "half of \ud83d"}"#[..], "half of \u{FFFD}"),
        (br#"{"state": "Warning", "message": "\ud83d\ude00"}"#, "😀"),
        (b"{\"state\": \"Warning\", \"message\": \"M\xFCll\"}", "M\u{FFFD}ll"),
    ] {
        assert_eq!(send(Method::POST, CHANGES, body).await.status, 200);
        assert_eq!(last_change(&harness, 100).await["message"], message);
    }
    let options = br#"{"options": "\udfff"}"#;
    let put = send(Method::PUT, "/api/v1/jobs/100/options", options).await.json();
    assert_eq!(put["options"], "\u{FFFD}");
    let lines = br#"{"lines": ["x", "\ud83d"]}"#;
    assert_eq!(send(Method::POST, "/api/v1/jobs/100/log", lines).await.status, 200);
    assert_eq!(harness.get("/api/v1/jobs/100/log?format=text").await.text(), "x\n\u{FFFD}");
    // These texts are identifiers: they are not corrected.
    let change = br#"{"state": "Warning", "changeId": "\ud83d"}"#;
    send(Method::POST, CHANGES, change).await.assert_problem("invalid_json");
    harness.stop().await;
}

#[tokio::test]
async fn tags_are_a_set() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let tagged = |tags: &[&str]| json!({"id": 100, "name": "a", "tags": tags});
        let create = async |job: &Value| harness.post("/api/v1/jobs", job).await;
        assert_eq!(create(&tagged(&["c", "a", "b"])).await.status, 201);
        for tags in [["c", "a", "b"], ["a", "b", "c"], ["b", "c", "a"]] {
            assert_eq!(create(&tagged(&tags)).await.json()["created"], false, "{tags:?}");
        }
        create(&tagged(&["a", "b"])).await.assert_problem("id_conflict");
        // They are shown in their original form.
        assert_eq!(harness.get("/api/v1/jobs/100").await.json()["tags"], json!(["c", "a", "b"]));
        harness.stop().await;
    }
}

/// The output of serializers of other languages for an unset field.
#[tokio::test]
async fn null_is_as_good_as_nothing() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let http = json!({"url": "http://127.0.0.1:9/", "headers": null, "payload": null,
        "proxy": null, "secret": null});
    let action = json!({"states": ["Faulted"], "http": http, "email": null});
    let check = json!({"kind": "state", "at": "2030-01-01T00:00:00Z", "states": ["Running"],
        "expression": null, "quietMs": null, "success": null,
        "failure": {"http": http, "email": null}});
    let bare = json!({"parent": null, "name": "a", "createdBy": null, "tags": null,
        "options": null, "sourceLink": null, "keepDays": null, "actions": null, "checks": null});
    let mut job = bare.clone();
    job["id"] = json!(100);
    assert_eq!(harness.post("/api/v1/jobs", &job).await.status, 201);
    let plain = json!({"id": 100, "name": "a"});
    assert_eq!(harness.post("/api/v1/jobs", &plain).await.json()["created"], false);
    let mut child = bare;
    child["id"] = Value::Null;
    child["actions"] = json!([action]);
    child["checks"] = json!([check]);
    let jobs = json!({"jobs": [child]});
    let created = harness.post("/api/v1/jobs/100/children", &jobs).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let change = json!({"state": "Running", "message": null, "reasonCode": null, "changeId": null});
    let lines = json!({"lines": ["x"], "appendId": null});
    for (path, body) in
        [("changes", &change), ("log", &lines), ("actions", &action), ("checks", &check)]
    {
        let reply = harness.post(&format!("/api/v1/jobs/100/{path}"), body).await;
        assert!(matches!(reply.status, 200 | 201), "{path}: {}", reply.text());
    }
    harness.stop().await;
}
