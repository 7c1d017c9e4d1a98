use jobtracker_model::limits;
use reqwest::Method;
use serde_json::json;

use super::{Bad, JSON, all_refused, x};

#[tokio::test]
async fn fields_past_their_limits() {
    all_refused(|| {
        let tags = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        let mut cases = Vec::new();
        for (field, value) in [
            ("name", json!("")),
            ("name", json!(x(limits::NAME + 1))),
            ("name", json!("a\u{7}b")),
            ("createdBy", json!(x(limits::CREATED_BY + 1))),
            ("tags", json!(tags(limits::TAGS + 1))),
            ("tags", json!([""])),
            ("tags", json!([x(limits::TAG + 1)])),
            ("tags", json!(["twice", "twice"])),
            ("options", json!(x(limits::OPTIONS + 1))),
            ("sourceLink", json!(x(limits::SOURCE_LINK + 1))),
            ("keepDays", json!(0)),
            ("keepDays", json!(limits::KEEP_DAYS + 1)),
        ] {
            let mut job = json!({"id": 300, "name": "a"});
            job[field] = value;
            cases.push(Bad::json("/jobs", &job, "invalid_field"));
            job["id"] = json!(301);
            let jobs = json!({"jobs": [{"id": 300, "name": "good"}, job]});
            cases.push(Bad::json("/jobs/100/children", &jobs, "invalid_field"));
        }
        for (field, value) in [("changeId", x(limits::REPEAT_ID + 1)), ("changeId", String::new())]
        {
            let mut change = json!({"state": "Faulted"});
            change[field] = json!(value);
            cases.push(Bad::json("/jobs/101/changes", &change, "invalid_field"));
        }
        for lines in [json!([]), json!(vec!["x"; 1001]), json!([x(8193)]), json!(["a\nb"])] {
            cases.push(Bad::json("/jobs/101/log", &json!({"lines": lines}), "invalid_field"));
        }
        let lines = json!({"lines": ["x"], "appendId": x(65)});
        cases.push(Bad::json("/jobs/101/log", &lines, "invalid_field"));
        cases.push(Bad::json("/ids", &json!({"count": 0}), "invalid_field"));
        cases.push(Bad::json("/ids", &json!({"count": 1_000_001}), "invalid_field"));
        cases.push(Bad::json("/jobs/states", &json!({"ids": []}), "invalid_field"));
        let ids: Vec<u32> = (1..=1001).collect();
        cases.push(Bad::json("/jobs/states", &json!({"ids": ids}), "invalid_field"));
        let jobs = |count: usize| json!({"jobs": vec![json!({"name": "a"}); count]});
        cases.push(Bad::json("/jobs/100/children", &jobs(0), "invalid_field"));
        cases.push(Bad::json("/jobs/100/children", &jobs(10_001), "invalid_field"));
        let elsewhere = json!({"jobs": [{"name": "a", "parent": 200}]});
        cases.push(Bad::json("/jobs/100/children", &elsewhere, "invalid_field"));
        let options = json!({"options": x(limits::OPTIONS + 1)}).to_string();
        cases.push(
            Bad::new(Method::PUT, "/jobs/101/options", "invalid_field")
                .header("content-type", JSON)
                .body(options),
        );
        cases
    })
    .await;
}
