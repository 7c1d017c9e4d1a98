use reqwest::Method;
use serde_json::json;

use super::{Bad, all_refused, x};

#[tokio::test]
async fn ids_that_are_none_or_unknown() {
    all_refused(|| {
        let mut cases = Vec::new();
        for id in ["0", "-1", "01", "+1", "abc", "1.0", "9223372036854775808", "%20", "%FF", "%00"]
        {
            for part in ["", "/state", "/children", "/log", "/wait"] {
                cases.push(Bad::get(&format!("/jobs/{id}{part}"), "invalid_query"));
            }
        }
        for part in [
            "",
            "/state",
            "/changes",
            "/children",
            "/descendants",
            "/ancestors",
            "/blockers",
            "/statistics",
            "/wait?timeoutMs=0",
            "/log",
            "/attachments",
        ] {
            cases.push(Bad::get(&format!("/jobs/7{part}"), "job_not_found"));
            let largest = format!("/jobs/9223372036854775807{part}");
            cases.push(Bad::get(&largest, "job_not_found"));
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn parameters() {
    all_refused(|| {
        let mut cases = Vec::new();
        for list in ["/jobs/100/children", "/jobs/100/changes", "/jobs/100/log", "/roots"] {
            for query in [
                "limit=0",
                "limit=1001",
                "limit=x",
                "limit=-1",
                "limit=",
                "limit=1&limit=2",
                "limit=99999999999999999999",
                "unknown=1",
                "LIMIT=1",
            ] {
                cases.push(Bad::get(&format!("{list}?{query}"), "invalid_query"));
            }
            for cursor in ["", "x", "!!!!", "AAAAAAAAAAAAAAAA", &x(10_000)] {
                cases.push(Bad::get(&format!("{list}?cursor={cursor}"), "invalid_cursor"));
            }
        }
        for query in [
            "/jobs/100/children?states=Done",
            "/jobs/100/descendants?states=Running,running",
            "/roots?states=4",
            "/roots?from=yesterday",
            "/roots?to=2026-13-01T00:00:00Z",
            "/jobs/100/wait?timeoutMs=60001",
            "/jobs/100/wait?timeoutMs=-1",
            "/jobs/100/wait?states=",
            "/jobs/100/wait?states=Done",
            "/jobs/101/log?format=xml",
            "/jobs/101/log?from=middle",
            "/jobs/101/log?from=-1",
        ] {
            cases.push(Bad::get(query, "invalid_query"));
        }
        for expression in ["name+%3D%3D", "name", "owner+%3D%3D+1", &x(1025)] {
            cases.push(Bad::get(&format!("/roots?expression={expression}"), "invalid_expression"));
        }
        let lines = json!({"lines": ["x"]});
        cases.push(Bad::json("/jobs/101/log?appendId=a", &lines, "invalid_query"));
        cases
    })
    .await;
}

#[tokio::test]
async fn routes_and_methods_that_there_are_not() {
    all_refused(|| {
        let mut cases = Vec::new();
        for path in [
            "",
            "/",
            "/job",
            "/jobs/",
            "/jobs/100/",
            "/jobs/100/nothing",
            "/jobs//state",
            "/jobs/100/attachments/a/b",
            "/../../etc/passwd",
        ] {
            cases.push(Bad::get(path, "route_not_found"));
        }
        let brew = Method::from_bytes(b"BREW").unwrap();
        for (method, path) in [
            (Method::GET, "/ids"),
            (Method::POST, "/jobs/100"),
            (Method::PATCH, "/jobs/100"),
            (Method::GET, "/jobs/states"),
            (Method::POST, "/jobs/100/options"),
            (Method::PUT, "/jobs/100/log"),
            (Method::POST, "/roots"),
            (Method::TRACE, "/roots"),
            (brew, "/jobs"),
        ] {
            cases.push(Bad::new(method, path, "method_not_allowed"));
        }
        cases
    })
    .await;
}
