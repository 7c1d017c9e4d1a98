//! The answers to writing requests, and to their repetition.

use serde_json::{Value, json};

use crate::harness::{Harness, STORES};

#[tokio::test]
async fn creation_can_be_repeated() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let block = harness.post("/api/v1/ids", &json!({"count": 10})).await.json();
        let id = block["first"].as_u64().unwrap();
        let job = json!({"id": id, "name": "a", "tags": ["t"]});
        let first = harness.post("/api/v1/jobs", &job).await;
        assert_eq!(first.status, 201);
        assert_eq!(first.header("location"), Some(&*format!("/api/v1/jobs/{id}")));
        let again = harness.post("/api/v1/jobs", &job).await;
        assert_eq!(again.status, 200);
        let expected =
            |created| json!({"id": id, "root": id, "created": created, "state": "WaitingToRun"});
        assert_eq!((first.json(), again.json()), (expected(true), expected(false)));
        let unnamed = harness.post("/api/v1/jobs", &json!({"name": "b"})).await.json();
        assert!(unnamed["id"].as_u64().unwrap() > id + 9);
        harness.stop().await;
    }
}

#[tokio::test]
async fn children_are_created_all_or_none() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        harness.create(900, None).await;
        let path = "/api/v1/jobs/100/children";
        let jobs = |ids: &[u64]| {
            let jobs: Vec<_> = ids.iter().map(|id| json!({"id": id, "name": "child"})).collect();
            json!({"jobs": jobs})
        };
        harness.post(path, &jobs(&[101, 102, 900])).await.assert_problem("id_conflict");
        assert_eq!(harness.get("/api/v1/jobs/100").await.json()["subtree"]["total"], 0);
        let created = harness.post(path, &jobs(&[101, 102])).await;
        assert_eq!(created.status, 201);
        let more = harness.post(path, &jobs(&[103, 102])).await;
        assert_eq!(more.status, 201);
        let new: Vec<Value> =
            more.json()["items"].as_array().unwrap().iter().map(|i| i["created"].clone()).collect();
        assert_eq!(new, [true, false]);
        assert_eq!(harness.post(path, &jobs(&[101, 103])).await.status, 200);
        let most: Vec<u64> = (1_000..11_000).collect();
        assert_eq!(harness.post(path, &jobs(&most)).await.status, 201);
        let parent = harness.get("/api/v1/jobs/100").await.json();
        assert_eq!(parent["children"], json!({"pending": 10_003, "successful": 0, "failed": 0}));
        harness.stop().await;
    }
}

#[tokio::test]
async fn states_go_up_and_changes_are_listed() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        harness.create(101, Some(100)).await;
        let change = json!({
            "state": "Faulted", "message": "disk full", "reasonCode": "ENOSPC", "changeId": "c-1",
        });
        let path = "/api/v1/jobs/101/changes";
        let first = harness.post(path, &change).await.json();
        assert_eq!(
            first,
            json!({"applied": true, "repeated": false, "state": "Faulted", "changes": 2})
        );
        let again = harness.post(path, &change).await.json();
        assert_eq!(again["repeated"], true);
        let late = harness.post(path, &json!({"state": "Running"})).await.json();
        assert_eq!(
            late,
            json!({"applied": false, "repeated": false, "state": "Faulted", "changes": 2})
        );
        harness.report(100, "RanToCompletion").await;
        let state = harness.get("/api/v1/jobs/100/state").await.json();
        assert_eq!(state, json!({"id": 100, "state": "Faulted"}));

        let listed = harness.get(path).await.json();
        assert_eq!(listed["nextCursor"], Value::Null);
        let changes = listed["items"].as_array().unwrap();
        let states: Vec<_> = changes.iter().map(|change| &change["state"]).collect();
        assert_eq!(states, ["WaitingToRun", "Faulted"]);
        assert_eq!(changes[1]["message"], "disk full");

        let statistics = harness.get("/api/v1/jobs/100/statistics").await.json();
        assert_eq!(statistics["children"]["failed"], 1);
        assert_eq!(statistics["subtree"]["failed"], 1);
        assert_eq!(statistics["treeEnd"]["source"], 100);
        assert_eq!(statistics["treeStart"], Value::Null);
        let blockers = harness.get("/api/v1/jobs/100/blockers").await.json();
        assert_eq!(blockers["items"][0]["job"]["id"], 101);
        assert_eq!(blockers["items"][0]["lastChange"]["reasonCode"], "ENOSPC");
        let ancestors = harness.get("/api/v1/jobs/101/ancestors").await.json();
        assert_eq!(ancestors["items"][0]["id"], 100);
        harness.stop().await;
    }
}

#[tokio::test]
async fn updates_to_finished_jobs_can_be_let_through() {
    let harness =
        Harness::start(STORES[0], |config| config.jobs.block_updates_after_finish = false).await;
    harness.create(100, None).await;
    for state in ["RanToCompletion", "Running", "Faulted"] {
        harness.report(100, state).await;
        assert_eq!(harness.get("/api/v1/jobs/100/state").await.json()["state"], state);
    }
    harness.stop().await;
}

#[tokio::test]
async fn states_of_many_jobs_come_in_the_order_asked() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    harness.create(100, None).await;
    harness.create(101, None).await;
    harness.report(101, "Running").await;
    let ids = json!({"ids": [7, 101, 100, 101]});
    let states = harness.post("/api/v1/jobs/states", &ids).await.json();
    assert_eq!(
        states["items"],
        json!([
            {"id": 7, "state": "WaitingForActivation"},
            {"id": 101, "state": "Running"},
            {"id": 100, "state": "WaitingToRun"},
            {"id": 101, "state": "Running"},
        ])
    );
    harness.stop().await;
}

#[tokio::test]
async fn options_are_replaced_and_taken_away() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        for options in [json!("one"), json!(""), json!(null)] {
            let path = "/api/v1/jobs/100/options";
            let job = harness.put(path, &json!({"options": options})).await;
            assert_eq!(job.status, 200);
            assert_eq!(job.json()["options"], options);
            assert_eq!(harness.get("/api/v1/jobs/100").await.json(), job.json());
        }
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_wait_is_answered_by_the_change_or_by_the_clock() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        harness.create(101, Some(100)).await;
        let over = harness.get("/api/v1/jobs/100/wait?timeoutMs=20").await.json();
        assert_eq!(over, json!({"id": 100, "reached": false, "state": "WaitingToRun"}));
        let now = harness.get("/api/v1/jobs/100/wait?states=WaitingToRun,Running").await.json();
        assert_eq!(now, json!({"id": 100, "reached": true, "state": "WaitingToRun"}));

        let root = harness.get("/api/v1/jobs/100/wait?timeoutMs=60000");
        let child = harness.get("/api/v1/jobs/101/wait?states=Running&timeoutMs=60000");
        let working = async {
            harness.waits(2).await;
            harness.report(100, "RanToCompletion").await;
            harness.report(101, "Running").await;
        };
        let faulting = async {
            let (child, ()) = tokio::join!(child, working);
            harness.report(101, "Faulted").await;
            child
        };
        let (root, child) = tokio::join!(root, faulting);
        assert_eq!(root.json(), json!({"id": 100, "reached": true, "state": "Faulted"}));
        assert_eq!(child.json(), json!({"id": 101, "reached": true, "state": "Running"}));
        harness.stop().await;
    }
}

/// The work of a parent is over, and its child's is not; then a delayed report arrives.
#[tokio::test]
async fn a_late_report_undoes_nothing_if_it_says_what_it_expects() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        harness.create(101, Some(100)).await;
        let path = "/api/v1/jobs/100/changes";
        let running = |expect: Value| json!({"state": "Running", "expect": expect});
        let first = harness.post(path, &running(json!({"changes": 1}))).await.json();
        assert_eq!((&first["applied"], &first["changes"]), (&json!(true), &json!(2)));
        let done = json!({"state": "RanToCompletion", "changeId": "done",
            "expect": {"states": ["Running", "Warning"], "changes": 2}});
        let waits = "WaitingForChildrenToComplete";
        for repeated in [false, true] {
            let reply = harness.post(path, &done).await.json();
            let expected =
                json!({"applied": true, "repeated": repeated, "state": waits, "changes": 3});
            assert_eq!(reply, expected);
        }
        let before = harness.get("/api/v1/jobs/100").await.json();
        for expect in [
            json!({"changes": 1}),
            json!({"states": ["WaitingToRun", "Running"]}),
            // The visible state is not the last own one.
            json!({"states": [waits], "changes": null}),
        ] {
            let late = harness.post(path, &running(expect)).await;
            late.assert_problem("unexpected_state");
            let stands = json!({"last": "RanToCompletion", "state": waits, "changes": 3});
            assert_eq!(late.json()["stands"], stands);
        }
        assert_eq!(harness.get("/api/v1/jobs/100").await.json(), before);
        harness.report(101, "RanToCompletion").await;
        // A finished job blocks updates regardless of further expectations.
        let late = harness.post(path, &running(json!({"changes": 1}))).await.json();
        assert_eq!((&late["applied"], &late["state"]), (&json!(false), &json!("RanToCompletion")));
        let empty = harness.post(path, &running(json!({"states": []}))).await;
        empty.assert_problem("invalid_field");
        harness.stop().await;
    }
}
