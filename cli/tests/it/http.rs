//! Behaviour that all addresses have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
};

use jobtracker_server::Secret;
use reqwest::Method;
use serde_json::json;

use crate::{
    connections::documented_routes,
    harness::{Harness, Reply, STORES},
};

const TOKEN: &str = "a-token-for-tests";

#[tokio::test]
async fn the_token_opens_everything_and_some_pages_need_none() {
    let harness = Harness::start(STORES[0], |config| config.auth.token = Secret::new(TOKEN)).await;
    let ask = async |method: Method, path: &str, authorization: Option<&str>| {
        let mut request = harness.request(method, path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        Reply::of(request).await
    };
    for path in ["/api/v1/jobs/1", "/api/v1/roots", "/metrics", "/nowhere"] {
        for wrong in [None, Some("Bearer wrong"), Some(TOKEN), Some("Bearer a-token-for-tests2")] {
            let reply = ask(Method::GET, path, wrong).await;
            reply.assert_problem("unauthorized");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    let right = format!("Bearer {TOKEN}");
    assert_eq!(ask(Method::GET, "/api/v1/roots", Some(&right)).await.status, 200);
    assert_eq!(ask(Method::GET, "/metrics", Some(&right)).await.status, 200);
    ask(Method::GET, "/nowhere", Some(&right)).await.assert_problem("route_not_found");
    for open in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(ask(Method::GET, open, None).await.status, 200, "{open}");
    }
    let client = jobtracker_client::JobTrackerClient::builder(harness.url()).bearer_token(TOKEN);
    client.build().unwrap().ready().await.unwrap();
    harness.stop().await;
}

#[tokio::test]
async fn every_reply_has_a_request_id() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let with = async |id: &str| {
        let request = harness.request(Method::GET, "/api/v1/jobs/7").header("x-request-id", id);
        Reply::of(request).await
    };
    let mine = with("mine-42").await;
    mine.assert_problem("job_not_found");
    assert_eq!(mine.header("x-request-id"), Some("mine-42"));
    let long = "x".repeat(65);
    let (first, second) = (with(&long).await, with("not sane").await);
    let ids = [&first, &second].map(|reply| reply.header("x-request-id").unwrap().to_owned());
    assert!(ids[0] != ids[1] && ids[0] != long && ids.iter().all(|id| id.len() <= 64));
    for path in ["/healthz", "/metrics", "/api/v1/roots", "/nowhere"] {
        assert!(harness.get(path).await.header("x-request-id").is_some(), "{path}");
    }
    harness.stop().await;
}

/// No cache on the way keeps them, and no page of another site includes them.
#[tokio::test]
async fn answers_are_for_their_callers_alone() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1, None).await;
    for path in ["/api/v1/jobs/1", "/api/v1/jobs/2", "/api/v1/jobs/1/log?format=text", "/metrics"] {
        let reply = harness.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
    }
    assert_eq!(harness.get("/").await.header("cache-control"), Some("no-cache"));
    harness.stop().await;
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    for path in ["/healthz", "/openapi.json", "/api/v1/roots", "/api/v1/jobs/100", "/api/v1/jobs/7"]
    {
        let get = harness.get(path).await;
        let head = Reply::of(harness.request(Method::HEAD, path)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.body.is_empty());
    }
    harness.stop().await;
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    for (method, path, allow) in [
        (Method::POST, "/api/v1/jobs/100", "GET, HEAD, DELETE"),
        (Method::GET, "/api/v1/jobs", "POST"),
        (Method::PATCH, "/api/v1/jobs/100/log", "GET, HEAD, POST"),
        (Method::POST, "/api/v1/jobs/100/attachments/a", "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/healthz", "GET, HEAD"),
    ] {
        let reply = Reply::of(harness.request(method, path)).await;
        reply.assert_problem("method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{path}");
    }
    harness.stop().await;
}

/// Every documented address answers every method, and says which methods it takes.
#[tokio::test]
async fn every_address_refuses_the_methods_that_it_does_not_have() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut routes = BTreeMap::<_, BTreeSet<_>>::new();
    for (method, path) in documented_routes() {
        let methods = routes.entry(path).or_default();
        if method == "GET" {
            methods.insert("HEAD".to_owned());
        }
        methods.insert(method);
    }
    let all = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    for (path, methods) in routes {
        for method in all.iter().filter(|method| !methods.contains(method.as_str())) {
            let reply = Reply::of(harness.request(method.clone(), &path)).await;
            assert_eq!(reply.status, 405, "{method} {path}");
            reply.assert_problem("method_not_allowed");
            let allow: BTreeSet<_> = reply.header("allow").unwrap().split(", ").collect();
            assert!(allow.into_iter().eq(&methods), "{method} {path}");
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn large_replies_are_packed_for_those_who_ask() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    let jobs: Vec<_> = (0..500).map(|n| json!({"name": format!("child {n}")})).collect();
    harness.post("/api/v1/jobs/100/children", &json!({"jobs": jobs})).await;
    for limit in [20, 500] {
        let path = format!("/api/v1/jobs/100/children?limit={limit}");
        let plain = harness.get(&path).await;
        assert_eq!(plain.header("content-encoding"), None);
        for (accept, encoding) in
            [("gzip", "gzip"), ("gzip, zstd", "zstd"), ("zstd;q=0.1, gzip;q=0.2, br", "gzip")]
        {
            let request = harness.request(Method::GET, &path).header("accept-encoding", accept);
            let packed = Reply::of(request).await;
            assert_eq!(packed.header("content-encoding"), Some(encoding));
            assert_eq!(packed.header("vary"), Some("accept-encoding"));
            let mut body = Vec::new();
            match encoding {
                "gzip" => {
                    flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut body).unwrap();
                }
                _ => body = zstd::decode_all(&*packed.body).unwrap(),
            }
            assert!(body == plain.body && packed.body.len() < body.len() / 4);
        }
    }
    let request = harness.request(Method::GET, "/healthz").header("accept-encoding", "gzip");
    assert_eq!(Reply::of(request).await.header("content-encoding"), None);
    harness.stop().await;
}

#[tokio::test]
async fn requests_may_be_packed() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let jobs: Vec<_> = (1..=5_000).map(|n| json!({"id": 100 + n, "name": "child"})).collect();
        let body = json!({"jobs": jobs}).to_string();
        harness.create(100, None).await;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body.as_bytes()).unwrap();
        let packed = [
            ("gzip", gzip.finish().unwrap(), 201),
            ("zstd", zstd::encode_all(body.as_bytes(), 1).unwrap(), 200),
            ("identity", body.into_bytes(), 200),
        ];
        for (encoding, body, status) in packed {
            let request = harness.request(Method::POST, "/api/v1/jobs/100/children");
            let request = request.header("content-type", "application/json; charset=UTF-8");
            let reply = Reply::of(request.header("content-encoding", encoding).body(body)).await;
            assert_eq!(reply.status, status, "{encoding}: {}", reply.text());
        }
        assert_eq!(harness.get("/api/v1/jobs/100").await.json()["children"]["pending"], 5_000);
        harness.stop().await;
    }
}

#[tokio::test]
async fn the_operators_pages() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        assert_eq!(harness.get("/healthz").await.json(), json!({"status": "ok"}));
        assert_eq!(harness.get("/readyz").await.json(), json!({"status": "ready"}));
        harness.create(100, None).await;
        harness.get("/api/v1/jobs/100").await;
        harness.get("/api/v1/jobs/7").await;
        harness.get("/nowhere").await;
        let page = harness.get("/metrics").await;
        assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        let count = |labels: &str, status: &str, number: u32| {
            format!("jobtracker_http_requests_total{{{labels},status=\"{status}\"}} {number}")
        };
        let get_job = "route=\"/api/v1/jobs/{id}\",method=\"GET\"";
        for line in [
            count("route=\"/api/v1/jobs\",method=\"POST\"", "2xx", 1),
            count(get_job, "2xx", 1),
            count(get_job, "4xx", 1),
            count("route=\"none\",method=\"GET\"", "4xx", 1),
            format!("jobtracker_http_request_seconds_count{{{get_job}}} 2"),
            "jobtracker_http_requests_in_flight 1".into(),
            "jobtracker_engine_operations_total 1".into(),
            "jobtracker_engine_queue_operations 0".into(),
            "jobtracker_engine_commit_seconds_count 1".into(),
            "# EOF".into(),
        ] {
            assert!(page.text().lines().any(|found| found == line), "{line}\n{}", page.text());
        }
        let store = page.text().lines().filter(|line| line.starts_with("jobtracker_store_"));
        assert!(store.count() > 0, "{}", page.text());
        let served = harness.get("/openapi.json").await;
        assert_eq!(served.text(), jobtracker_server::openapi_document());
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_not_ready() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.store().close().await;
        harness.get("/readyz").await.assert_problem("store_unavailable");
        harness.get("/api/v1/roots").await.assert_problem("store_unavailable");
        let job = json!({"name": "a"});
        harness.post("/api/v1/jobs", &job).await.assert_problem("store_unavailable");
        assert_eq!(harness.get("/healthz").await.status, 200);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_drops_nothing() {
    let harness = Harness::start(STORES[1], |config| config.engine.queue_operations = 1).await;
    harness.create(100, None).await;
    let create = |_| async {
        let request = harness.request(Method::POST, "/api/v1/jobs/100/children");
        Reply::of(request.json(&json!({"jobs": [{"name": "a"}]}))).await
    };
    let replies = futures_util::future::join_all((0..64).map(create)).await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.assert_problem("overloaded");
    }
    assert!(created > 0);
    assert_eq!(harness.get("/api/v1/jobs/100").await.json()["children"]["pending"], created);
    harness.stop().await;
}

#[tokio::test]
async fn the_client_speaks_all_of_it() {
    use std::time::Duration;

    use jobtracker_model::{NewChange, NewJob, NewLogLines, State, StateSet};

    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        let root = client.create(NewJob::new("root").tag("t")).await.unwrap().id;
        let jobs = (0..3).map(|n| NewJob::new(format!("child {n}"))).collect();
        let children = client.create_children(root, jobs).await.unwrap();
        for child in &children {
            client.update(child.id, NewChange::new(State::Faulted)).await.unwrap();
        }
        client.update(root, NewChange::new(State::RanToCompletion)).await.unwrap();
        let time = Duration::from_secs(60);
        let waited = client.wait(root, StateSet::FINISHED, time).await.unwrap();
        assert!(waited.reached && waited.state == State::Faulted);
        let lines = NewLogLines { lines: vec!["one".into(), "two".into()], append_id: None };
        assert_eq!(client.append_log(root, lines).await.unwrap().count, 2);
        client.put_attachment(root, "key", "text".into()).await.unwrap();
        assert_eq!(client.attachment(root, "key").await.unwrap(), "text");
        let job = client.load(root).await.unwrap();
        assert_eq!((job.children.failed, job.log_lines, job.attachments), (3, 2, 1));
        let missing = client.load(jobtracker_model::JobId::MAX).await.unwrap_err();
        assert!(missing.to_string().contains("9223372036854775807"), "{missing}");
        drop(client);
        harness.stop().await;
    }
}
