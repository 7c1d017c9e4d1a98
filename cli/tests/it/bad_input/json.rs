use serde_json::json;

use super::{Bad, all_refused};

#[tokio::test]
async fn broken_json() {
    all_refused(|| {
        let mut cases = vec![
            Bad::raw("/jobs", b"\xff\xfe{}", "invalid_json"),
            Bad::raw("/jobs", b"{\"name\":\"\xff\"}", "invalid_json"),
            Bad::raw("/jobs", "[".repeat(200_000), "invalid_json"),
            Bad::raw("/jobs", "{\"name\":".repeat(100_000), "invalid_json"),
        ];
        for body in [
            "",
            "{",
            "}",
            "null",
            "[]",
            "\"name\"",
            "{\"name\":\"a\"",
            "{\"name\":\"a\"} more",
            "{\"name\":\"a\",}",
            "{'name':'a'}",
            "{\"name\":5}",
            "{\"name\":null}",
            "{}",
            "{\"name\":\"a\",\"name\":\"b\"}",
            "{\"name\":\"a\",\"state\":\"Running\"}",
            "{\"name\":\"a\",\"tags\":\"t\"}",
            "{\"name\":\"a\",\"tags\":[1]}",
            "{\"name\":\"a\",\"options\":{}}",
            "{\"name\":\"\\ud800\"}",
        ] {
            cases.push(Bad::raw("/jobs", body, "invalid_json"));
        }
        for id in [
            "0",
            "-1",
            "1.5",
            "\"01\"",
            "\"\"",
            "9223372036854775808",
            "\"9223372036854775808\"",
            "1e400",
            "18446744073709551616",
        ] {
            let job = |field: &str| format!("{{\"name\":\"a\",\"{field}\":{id}}}");
            cases.push(Bad::raw("/jobs", job("id"), "invalid_json"));
            cases.push(Bad::raw("/jobs", job("parent"), "invalid_json"));
            cases.push(Bad::raw("/jobs/states", format!("{{\"ids\":[{id}]}}"), "invalid_json"));
        }
        for state in ["\"running\"", "\"\"", "4", "null", "\"Done\"", "[\"Running\"]"] {
            let body = format!("{{\"state\":{state}}}");
            cases.push(Bad::raw("/jobs/101/changes", body, "invalid_json"));
        }
        cases.push(Bad::json("/ids", &json!({"count": -1}), "invalid_json"));
        cases.push(Bad::json("/ids", &json!({"count": 5_000_000_000_u64}), "invalid_json"));
        cases
    })
    .await;
}
