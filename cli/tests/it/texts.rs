//! Logs and attachments.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

async fn send_text(harness: &Harness, method: Method, path: &str, body: &str) -> Reply {
    let request = harness.request(method, path).header("content-type", "text/plain");
    Reply::of(request.body(body.to_owned())).await
}

#[tokio::test]
async fn lines_are_appended_and_read_from_anywhere() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let log = "/api/v1/jobs/100/log";
        let empty = harness.get(log).await.json();
        assert_eq!(empty, json!({"items": [], "nextCursor": null}));
        assert_eq!(harness.get(&format!("{log}?format=text")).await.text(), "");

        let lines: Vec<_> = (0..7).map(|n| format!("line {n}")).collect();
        let append = json!({"lines": lines, "appendId": "a-1"});
        let first = harness.post(log, &append).await.json();
        assert_eq!(first, json!({"firstLine": 0, "count": 7, "repeated": false}));
        let again = harness.post(log, &append).await.json();
        assert_eq!(again, json!({"firstLine": 0, "count": 7, "repeated": true}));
        let three = "line 7\r\n\nline 9 – ä\n";
        let text = send_text(&harness, Method::POST, log, three).await.json();
        assert_eq!(text, json!({"firstLine": 7, "count": 3, "repeated": false}));
        let named = format!("{log}?appendId=a-2");
        for repeated in [false, true] {
            let reply = send_text(&harness, Method::POST, &named, "line 10").await.json();
            assert_eq!(reply, json!({"firstLine": 10, "count": 1, "repeated": repeated}));
        }

        let numbers = async |query: &str| -> Vec<u64> {
            let page = harness.get(&format!("{log}?{query}")).await.json();
            page["items"].as_array().unwrap().iter().map(|l| l["line"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers("from=start&limit=3").await, [0, 1, 2]);
        assert_eq!(numbers("from=end&limit=3").await, [8, 9, 10]);
        assert_eq!(numbers("from=end&limit=100").await.len(), 11);
        assert_eq!(numbers("from=6&limit=2").await, [6, 7]);
        assert!(numbers("from=11").await.is_empty());
        assert_eq!(harness.get("/api/v1/jobs/100").await.json()["logLines"], 11);

        let page = harness.get(&format!("{log}?from=6&limit=3")).await.json();
        assert_eq!(page["items"][3 - 1]["text"], "");
        let cursor = page["nextCursor"].as_str().unwrap();
        assert_eq!(numbers(&format!("cursor={cursor}")).await, [9, 10]);
        let both = harness.get(&format!("{log}?cursor={cursor}&from=start")).await;
        both.assert_problem("invalid_query");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_log_read_as_text_goes_on_by_its_header() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let log = "/api/v1/jobs/100/log";
        let body: Vec<_> = (0..10).map(|n| format!("line {n}")).collect();
        send_text(&harness, Method::POST, log, &body.join("\n")).await;
        let (mut read, mut path) = (Vec::new(), format!("{log}?format=text&limit=4"));
        loop {
            let page = harness.get(&path).await;
            assert_eq!(page.header("content-type"), Some("text/plain; charset=utf-8"));
            read.extend(page.text().split('\n').map(str::to_owned));
            let Some(cursor) = page.header("x-next-cursor") else { break };
            path = format!("{log}?format=text&limit=4&cursor={cursor}");
        }
        assert_eq!(read, body);
        harness.stop().await;
    }
}

#[tokio::test]
async fn attachments_are_put_listed_read_and_deleted() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let all = "/api/v1/jobs/100/attachments";
        assert_eq!(harness.get(all).await.json(), json!({"items": []}));
        let put = async |key: &str, text: &str| {
            send_text(&harness, Method::PUT, &format!("{all}/{key}"), text).await
        };
        assert_eq!(put("report.txt", "first – ä\n").await.status, 201);
        assert_eq!(put("empty", "").await.status, 201);
        let replaced = put("report.txt", "second").await;
        assert_eq!((replaced.status, replaced.body.len()), (204, 0));
        // The same key, spelled with escapes.
        assert_eq!(put("%72eport%2Etxt", "third – ä\n").await.status, 204);
        let listed = harness.get(all).await.json();
        let expected = json!([{"key": "empty", "size": 0}, {"key": "report.txt", "size": 13}]);
        assert_eq!(listed["items"], expected);
        let text = harness.get(&format!("{all}/report.txt")).await;
        assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(text.text(), "third – ä\n");
        assert_eq!(harness.get("/api/v1/jobs/100").await.json()["attachments"], 2);

        let path = format!("{all}/report.txt");
        assert_eq!(Reply::of(harness.request(Method::DELETE, &path)).await.status, 204);
        harness.get(&path).await.assert_problem("attachment_not_found");
        let again = Reply::of(harness.request(Method::DELETE, &path)).await;
        again.assert_problem("attachment_not_found");
        let job: Value = harness.get("/api/v1/jobs/100").await.json();
        assert_eq!(job["attachments"], 1);
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_a_program_prints_is_taken_as_it_is() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    let long = "x".repeat(20 * 1024);
    let mut sent = 0;
    for (kind, body, shown) in [
        ("text/plain", b"10%\r100%\ndone\n".to_vec(), "100%\ndone"),
        ("text/plain; charset=utf8", b"bad \xff byte\n".to_vec(), "bad \u{fffd} byte"),
        ("text/plain; charset=us-ascii", "\u{feff}ä".into(), "ä"),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9".to_vec(), "café"),
        ("text/plain; charset=\"windows-1252\"", b"5 \x80".to_vec(), "5 €"),
        ("text/plain; charset=latin1", b"\xfc".to_vec(), "ü"),
    ] {
        let request = harness.request(Method::POST, "/api/v1/jobs/100/log").body(body);
        let reply = Reply::of(request.header("content-type", kind)).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        let page = format!("/api/v1/jobs/100/log?format=text&from={sent}");
        assert_eq!(harness.get(&page).await.text(), shown, "{kind}");
        sent += reply.json()["count"].as_u64().unwrap();
    }
    let reply = send_text(&harness, Method::POST, "/api/v1/jobs/100/log", &long).await;
    assert_eq!(reply.json()["count"], 3);
    let page = harness.get(&format!("/api/v1/jobs/100/log?format=text&from={sent}")).await;
    assert_eq!(page.text().replace("…\n…", ""), long);
    // JSON is not changed: a program that writes it knows the limits.
    let lines = json!({"lines": [long]});
    harness.post("/api/v1/jobs/100/log", &lines).await.assert_problem("invalid_field");
    // An attachment is a document, stored byte for byte or refused.
    let key = "/api/v1/jobs/100/attachments/k";
    let put = |kind: &'static str, body: &'static [u8]| {
        Reply::of(harness.request(Method::PUT, key).header("content-type", kind).body(body))
    };
    put("text/plain", b"bad \xff").await.assert_problem("invalid_field");
    assert_eq!(put("text/plain; charset=latin1", b"\xfc\r1").await.status, 201);
    assert_eq!(harness.get(key).await.text(), "ü\r1");
    harness.stop().await;
}
