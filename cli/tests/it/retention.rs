//! Trees that are deleted, by hand and by rules.

mod property;

use std::sync::Arc;

use jobtracker_client::{
    Job, JobId, KeptFailure, NewChange, NewJob, PathStep, ProblemCode, RetentionRule, State,
};
use jobtracker_context::JobTrackerContext;
use jobtracker_server::StoreKind;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Harness, Reply, STORES};

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

async fn delete(harness: &Harness, root: u64) -> Reply {
    Reply::of(harness.request(Method::DELETE, &format!("/api/v1/jobs/{root}"))).await
}

/// A root with two children, one of which has a child.
async fn plant(harness: &Harness, root: u64) {
    harness.create(root, None).await;
    for (child, parent) in [(1, 0), (2, 0), (3, 2)] {
        harness.create(root + child, Some(root + parent)).await;
    }
}

#[tokio::test]
async fn a_tree_that_an_admin_deletes_is_gone() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness, 100).await;
        plant(&harness, 200).await;
        delete(&harness, 103).await.assert_problem("not_a_root");
        delete(&harness, 999).await.assert_problem("job_not_found");
        let check = json!({"kind": "silence", "quietMs": 600_000,
            "failure": {"http": {"url": "http://127.0.0.1:9/"}}});
        let check = harness.post("/api/v1/jobs/102/checks", &check).await;
        assert_eq!(check.status, 201, "{}", check.text());
        let open = delete(&harness, 100).await;
        open.assert_problem("open_follow_ups");
        assert!(open.json()["detail"].as_str().unwrap().contains("job 102"), "{}", open.text());
        let cancelled =
            Reply::of(harness.request(Method::DELETE, "/api/v1/jobs/102/checks/0")).await;
        assert!(cancelled.status < 300, "{}", cancelled.text());
        let deleted = delete(&harness, 100).await;
        assert_eq!(deleted.status, 200, "{}", deleted.text());
        let deleted = deleted.json();
        assert_eq!((&deleted["jobs"], &deleted["deletedBy"]), (&json!(4), &json!("anonymous")));
        is_gone(&harness, deleted["deleteTime"].as_str().unwrap()).await;
        let audit = harness.get("/api/v1/audit").await.json();
        let acts: Vec<_> =
            audit["items"].as_array().unwrap().iter().map(|entry| &entry["act"]).collect();
        assert_eq!(acts.iter().filter(|act| **act == "deleteTree").count(), 5);
        let metrics = harness.get("/metrics").await;
        let counted = "jobtracker_deleted_jobs_total{by=\"Hand\"} 4";
        assert!(metrics.text().lines().any(|line| line == counted), "{}", metrics.text());
        if kind == StoreKind::Fjall {
            let directory = harness.stop().await.unwrap();
            let harness = Harness::restart(directory, |_| {}).await;
            harness.get("/api/v1/jobs/100").await.assert_problem("gone");
            harness.stop().await;
        }
    }
}

/// The tree of job 100 is, and that of job 200 is not.
async fn is_gone(harness: &Harness, since: &str) {
    let id = json!({"id": 100, "name": "job 100"});
    let change = json!({"state": "Running"});
    for answer in [
        harness.get("/api/v1/jobs/100").await,
        harness.get("/api/v1/jobs/100/state").await,
        harness.get("/api/v1/jobs/100/children").await,
        harness.get("/api/v1/jobs/100/log").await,
        harness.get("/api/v1/jobs/100/wait?states=Faulted").await,
        harness.post("/api/v1/jobs/100/changes", &change).await,
        harness.post("/api/v1/jobs", &id).await,
        harness.post("/api/v1/jobs", &json!({"parent": 100, "name": "new"})).await,
        delete(harness, 100).await,
    ] {
        answer.assert_problem("gone");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(since) && detail.contains("anonymous"), "{detail}");
    }
    for job in [101, 103] {
        harness.get(&format!("/api/v1/jobs/{job}")).await.assert_problem("job_not_found");
    }
    let roots = harness.get("/api/v1/roots").await.json();
    let roots: Vec<_> = roots["items"].as_array().unwrap().iter().map(|root| &root["id"]).collect();
    assert_eq!(roots, [&json!(200)]);
    assert_eq!(harness.get("/api/v1/jobs/203").await.status, 200);
}

/// A root with a tag, in a state.
async fn root(harness: &Harness, number: u64, tag: &str, state: State) {
    finished(harness, NewJob::new("nightly").id(id(number)).tag(tag), state).await;
}

async fn finished(harness: &Harness, job: NewJob, state: State) {
    let client = harness.client();
    let number = job.id.unwrap().get();
    client.create(job).await.unwrap();
    client.update(id(number), NewChange::new(state)).await.unwrap();
}

/// How long a tree is kept is a field of its root, however the root is created.
#[tokio::test]
async fn a_root_says_how_many_days_it_is_kept() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let kept = json!({"id": 1, "name": "a", "keepDays": 7});
        assert_eq!(harness.post("/api/v1/jobs", &kept).await.status, 201);
        assert_eq!(harness.post("/api/v1/jobs", &kept).await.json()["created"], false);
        let longer = json!({"id": 1, "name": "a", "keepDays": 8});
        harness.post("/api/v1/jobs", &longer).await.assert_problem("id_conflict");
        assert_eq!(harness.get("/api/v1/jobs/1").await.json()["keepDays"], 7);
        let child = json!({"id": 2, "parent": 1, "name": "b", "keepDays": 7});
        harness.post("/api/v1/jobs", &child).await.assert_problem("invalid_field");
        let context = JobTrackerContext::new(Arc::new(harness.client())).unwrap();
        context.create(NewJob::new("c").id(id(3)).keep_days(36_500)).await.unwrap();
        let below = NewJob::new("d").under(id(3)).keep_days(1);
        assert!(context.create(below).await.unwrap_err().to_string().contains("keepDays"));
        context.create(NewJob::new("d").id(id(4)).under(id(3))).await.unwrap();
        context.commit_and_close().await.unwrap();
        assert_eq!(harness.client().load(id(3)).await.unwrap().keep_days, Some(36_500));
        assert_eq!(harness.client().load(id(4)).await.unwrap().keep_days, None);
        harness.stop().await;
    }
}

#[tokio::test]
async fn rules_delete_what_has_been_finished_long_enough_and_nothing_else() {
    for kind in STORES {
        let harness = Harness::start(kind, |config| config.retention.every_seconds = 1).await;
        let client = harness.client();
        root(&harness, 1, "old", State::RanToCompletion).await;
        let kept = NewJob::new("nightly").id(id(2)).tag("old").keep_days(9);
        finished(&harness, kept, State::RanToCompletion).await;
        root(&harness, 3, "old", State::Running).await;
        root(&harness, 4, "other", State::RanToCompletion).await;
        root(&harness, 5, "old", State::Faulted).await;
        // It has a job that is not finished.
        root(&harness, 6, "old", State::Faulted).await;
        client.create(NewJob::new("late").under(id(6))).await.unwrap();
        let rule = RetentionRule {
            tags: vec!["old".to_owned()],
            expression: Some("name == 'nightly'".to_owned()),
            ..RetentionRule::new(0)
        };
        let preview = client.preview_retention(&rule).await.unwrap();
        let named: Vec<u64> = preview.newest.iter().map(|tree| tree.root.get()).collect();
        assert_eq!((preview.trees, preview.jobs, preview.complete), (2, 2, true));
        assert_eq!((named, preview.oldest.unwrap().root), (vec![5, 1], id(1)));
        let put = client.put_retention_rule("nightly", &rule).await.unwrap();
        assert_eq!(client.retention_rules().await.unwrap(), [put]);
        for gone in [1, 5] {
            loop {
                match client.get(id(gone)).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => {
                        assert_eq!(error.code(), Some(ProblemCode::Gone), "{error}");
                        assert!(error.to_string().contains("retention:nightly"), "{error}");
                        break;
                    }
                }
            }
        }
        for kept in [2, 3, 4, 6] {
            client.get(id(kept)).await.unwrap();
        }
        client.delete_retention_rule("nightly").await.unwrap();
        let missing = client.delete_retention_rule("nightly").await.unwrap_err();
        assert_eq!(missing.code(), Some(ProblemCode::RetentionRuleNotFound));
        harness.stop().await;
    }
}

/// A rule may keep the root of a tree, which then is as it was, and what failed in it first.
#[tokio::test]
async fn the_summary_of_a_tree_is_its_root_as_it_was() {
    for kind in STORES {
        let harness = Harness::start(kind, |config| config.retention.every_seconds = 1).await;
        let client = harness.client();
        let kept = NewJob::new("nightly").id(id(1)).tag("t").options("o");
        client.create(kept.clone()).await.unwrap();
        client.create(NewJob::new("a").id(id(2)).under(id(1))).await.unwrap();
        for number in 10..22 {
            client.create(NewJob::new("page").id(id(number)).under(id(2))).await.unwrap();
        }
        for number in (10..22).rev() {
            let change = NewChange::new(State::Faulted).message(format!("paper {number}"));
            client.update(id(number), change.reason_code("paper")).await.unwrap();
        }
        client.update(id(2), NewChange::new(State::RanToCompletion)).await.unwrap();
        client.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        let before = client.load(id(1)).await.unwrap();
        assert_eq!((before.summary, before.subtree.total), (false, 13));
        let tags = vec!["t".to_owned()];
        let rule = RetentionRule { tags, summary_days: Some(400), ..RetentionRule::new(0) };
        assert_eq!(client.preview_retention(&rule).await.unwrap().jobs, 14);
        client.put_retention_rule("sum", &rule).await.unwrap();
        let summary = loop {
            let job = client.load(id(1)).await.unwrap();
            if job.summary {
                break job;
            }
            tokio::task::yield_now().await;
        };
        let failures = summary.failures.clone();
        assert_eq!(summary, Job { summary: true, failures: failures.clone(), ..before });
        assert_eq!(failures.len(), 10);
        // As they failed, where the clock has told them apart.
        assert!(failures.is_sorted_by_key(|failure| failure.time));
        for KeptFailure { id: failed, name, path, message, reason_code, .. } in failures {
            assert_eq!(path, [PathStep { id: id(2), name: "a".to_owned() }]);
            assert_eq!((name.as_str(), reason_code.as_deref()), ("page", Some("paper")));
            assert_eq!(message, Some(format!("paper {failed}")));
        }
        harness.get("/api/v1/jobs/2").await.assert_problem("job_not_found");
        harness.get("/api/v1/jobs/1/children").await.assert_problem("gone");
        let change = client.update(id(1), NewChange::new(State::Running)).await.unwrap_err();
        assert_eq!(change.code(), Some(ProblemCode::Gone));
        let again = client.create(kept).await.unwrap_err();
        assert_eq!(again.code(), Some(ProblemCode::Gone));
        client.delete_retention_rule("sum").await.unwrap();
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    for (body, code) in [
        (json!({"keepDays": -1}), "invalid_json"),
        (json!({"keepDays": 36_501}), "invalid_field"),
        (json!({"keepDays": 1, "summaryDays": 0}), "invalid_field"),
        (json!({"keepDays": 1, "states": ["Running"]}), "invalid_field"),
        (json!({"keepDays": 1, "expression": "name =="}), "invalid_expression"),
        (json!({"keepDays": 1, "unknown": true}), "invalid_json"),
    ] {
        harness.put("/api/v1/retention/rules/one", &body).await.assert_problem(code);
        harness.post("/api/v1/retention/preview", &body).await.assert_problem(code);
    }
    let rule = json!({"keepDays": 1});
    let bad = harness.put("/api/v1/retention/rules/a%20b", &rule).await;
    bad.assert_problem("invalid_field");
    for number in 0..100 {
        let put = harness.put(&format!("/api/v1/retention/rules/{number}"), &rule).await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let more = harness.put("/api/v1/retention/rules/more", &rule).await;
    more.assert_problem("too_many_retention_rules");
    assert_eq!(harness.put("/api/v1/retention/rules/7", &rule).await.status, 200);
    harness.stop().await;
}
