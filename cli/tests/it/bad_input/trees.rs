use reqwest::Method;
use serde_json::json;

use super::{Bad, all_refused};

#[tokio::test]
async fn what_does_not_fit_the_trees() {
    all_refused(|| {
        let child = |id: u64, parent: u64| json!({"id": id, "parent": parent, "name": "a"});
        let change = |state: &str, id: &str| json!({"state": state, "changeId": id});
        vec![
            Bad::json("/jobs", &child(300, 7), "parent_not_found"),
            Bad::json("/jobs", &child(300, 9_223_372_036_854_775_807), "parent_not_found"),
            Bad::json("/jobs", &child(300, 300), "parent_is_self"),
            Bad::json("/jobs", &child(300, 264), "too_deep"),
            Bad::json("/jobs", &json!({"id": 100, "name": "another"}), "id_conflict"),
            Bad::json("/jobs", &json!({"id": 101, "name": "job 101"}), "id_conflict"),
            Bad::json(
                "/jobs",
                &json!({"id": 102, "parent": 101, "name": "job 102"}),
                "id_conflict",
            ),
            Bad::json("/jobs/7/children", &json!({"jobs": [{"name": "a"}]}), "parent_not_found"),
            Bad::json("/jobs/264/children", &json!({"jobs": [{"name": "a"}]}), "too_deep"),
            Bad::json(
                "/jobs/100/children",
                &json!({"jobs": [{"id": 300, "name": "a"}, {"id": 300, "name": "b"}]}),
                "duplicate_id",
            ),
            Bad::json(
                "/jobs/100/children",
                &json!({"jobs": [{"id": 300, "name": "a"}, {"id": 200, "name": "b"}]}),
                "id_conflict",
            ),
            Bad::json(
                "/jobs/101/changes",
                &change("WaitingForActivation", "c-2"),
                "state_not_allowed",
            ),
            Bad::json("/jobs/101/changes", &change("Faulted", "c-1"), "repeat_conflict"),
            Bad::json("/jobs/7/changes", &json!({"state": "Running"}), "job_not_found"),
            Bad::json(
                "/jobs/101/log",
                &json!({"lines": ["x"], "appendId": "a-1"}),
                "repeat_conflict",
            ),
            Bad::json("/jobs/7/log", &json!({"lines": ["x"]}), "job_not_found"),
            Bad::text(Method::PUT, "/jobs/7/attachments/a", "x", "job_not_found"),
            Bad::text(Method::PUT, "/jobs/102/attachments/more", "x", "too_many_attachments"),
            Bad::new(Method::DELETE, "/jobs/102/attachments/none", "attachment_not_found"),
            Bad::new(Method::DELETE, "/jobs/7/attachments/none", "job_not_found"),
            Bad::get("/jobs/102/attachments/none", "attachment_not_found"),
            Bad::get("/jobs/7/attachments/none", "job_not_found"),
        ]
    })
    .await;
}
