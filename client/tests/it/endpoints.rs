use std::time::Duration;

use jobtracker_client::{
    AttachmentInfo, Blocker, Error, JobState, JobTrackerClient, ListJobs, ListPage, LogAppended,
    LogFrom, LogLine, LogQuery, LogText, NewLogLines, ProblemCode, RootPage, RootsQuery, State,
};
use serde_json::json as value;
use wiremock::{MockServer, ResponseTemplate};

use crate::{
    canned::{change, id, job, json, node, page, problem, statistics, text, time},
    stub,
};

async fn serving(answer: ResponseTemplate) -> (MockServer, JobTrackerClient) {
    let server = stub::answering(answer).await;
    let client = stub::client(&server);
    (server, client)
}

/// The only request that the server got, as method, path and query.
async fn asked(server: &MockServer) -> String {
    let requests = stub::requests(server).await;
    assert_eq!(requests.len(), 1);
    let url = &requests[0].url;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {}{query}", requests[0].method, url.path())
}

#[tokio::test]
async fn jobs() {
    let (server, client) = serving(json(job(7))).await;
    assert_eq!(client.load(id(7)).await.unwrap(), job(7));
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7");

    let state = JobState { id: id(7), state: State::Warning };
    let (server, client) = serving(json(state)).await;
    assert_eq!(client.state(id(7)).await.unwrap(), State::Warning);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/state");

    let (server, client) = serving(json(value!({ "items": [state] }))).await;
    assert_eq!(client.states(vec![id(7)]).await.unwrap(), [state]);
    assert_eq!(asked(&server).await, "POST /api/v1/jobs/states");
    assert_eq!(stub::field(&stub::requests(&server).await, "ids"), [value!([7])]);

    let (server, client) = serving(json(statistics(7))).await;
    assert_eq!(client.statistics(id(7)).await.unwrap(), statistics(7));
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/statistics");

    for options in [Some("o".to_owned()), None] {
        let (server, client) = serving(json(job(7))).await;
        assert_eq!(client.update_options(id(7), options.clone()).await.unwrap(), job(7));
        assert_eq!(asked(&server).await, "PUT /api/v1/jobs/7/options");
        assert_eq!(stub::field(&stub::requests(&server).await, "options"), [value!(options)]);
    }
}

#[tokio::test]
async fn lists() {
    let jobs = page(vec![job(1)], Some("c"));
    let (server, client) = serving(json(&jobs)).await;
    let list = ListJobs::default().states([State::Running]).limit(5).cursor("a b");
    assert_eq!(client.children(id(7), list).await.unwrap(), jobs);
    let query = "states=Running&limit=5&cursor=a+b";
    assert_eq!(asked(&server).await, format!("GET /api/v1/jobs/7/children?{query}"));

    let (server, client) = serving(json(&jobs)).await;
    assert_eq!(client.descendants(id(7), ListJobs::default()).await.unwrap(), jobs);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/descendants");

    let (server, client) = serving(json(page(vec![job(2), job(1)], None))).await;
    assert_eq!(client.ancestors(id(7)).await.unwrap(), [job(2), job(1)]);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/ancestors");

    let path = [node(7), node(1)];
    let (server, client) = serving(json(value!({ "items": path }))).await;
    assert_eq!(client.path(id(7)).await.unwrap(), path);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/path");

    let changes = page(vec![change()], None);
    let (server, client) = serving(json(&changes)).await;
    assert_eq!(client.changes(id(7), ListPage::default()).await.unwrap(), changes);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/changes");

    let blockers = page(vec![Blocker { job: job(1), last_change: change(), path: None }], None);
    let (server, client) = serving(json(&blockers)).await;
    let page = ListPage::default().limit(1).cursor("c");
    assert_eq!(client.blockers(id(7), page).await.unwrap(), blockers);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/blockers?limit=1&cursor=c");
}

#[tokio::test]
async fn roots() {
    let (next_cursor, histogram) = (None, None);
    let (items, total, total_exact) = (vec![job(1)], 1, true);
    let roots = RootPage { items, next_cursor, total, total_exact, histogram };
    let (server, client) = serving(json(&roots)).await;
    let query = RootsQuery::default()
        .from(time())
        .to(time())
        .name_prefix("50% & more")
        .created_by("me")
        .tag("a")
        .tag("b")
        .states([State::Faulted])
        .expression("job.name == 'x'")
        .limit(1)
        .cursor("c")
        .with_total();
    assert_eq!(client.roots(query).await.unwrap(), roots);
    let requests = stub::requests(&server).await;
    assert_eq!(requests[0].url.path(), "/api/v1/roots");
    let pairs: Vec<_> = requests[0].url.query_pairs().into_owned().collect();
    let expected = [
        ("from", "2026-11-21T09:30:00.120Z"),
        ("to", "2026-11-21T09:30:00.120Z"),
        ("namePrefix", "50% & more"),
        ("createdBy", "me"),
        ("tags", "a,b"),
        ("states", "Faulted"),
        ("expression", "job.name == 'x'"),
        ("limit", "1"),
        ("cursor", "c"),
        ("total", "true"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let error = client.roots(RootsQuery::default().tag("a,b")).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest { .. }), "{error:?}");
}

#[tokio::test]
async fn logs() {
    let appended = LogAppended { first_line: 0, count: 1, repeated: false };
    let (server, client) = serving(json(appended)).await;
    let lines = NewLogLines { lines: vec!["a".into()], append_id: None };
    assert_eq!(client.append_log(id(7), lines).await.unwrap(), appended);
    assert_eq!(asked(&server).await, "POST /api/v1/jobs/7/log");

    let lines =
        page(vec![LogLine { line: 0, time: time(), attempt: None, text: "a".into() }], None);
    let (server, client) = serving(json(&lines)).await;
    let query = LogQuery::default().from(LogFrom::End).limit(3);
    assert_eq!(client.log(id(7), query).await.unwrap(), lines);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/log?from=end&limit=3");

    let (server, client) = serving(text("a\nb").insert_header("x-next-cursor", "c")).await;
    let read = client.log_text(id(7), LogQuery::default()).await.unwrap();
    assert_eq!(read, LogText { text: "a\nb".into(), next_cursor: Some("c".into()) });
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/log?from=start&format=text");
}

#[tokio::test]
async fn attachments() {
    let info = AttachmentInfo { key: "a".into(), size: 1 };
    let (server, client) = serving(json(value!({ "items": [info] }))).await;
    assert_eq!(client.attachments(id(7)).await.unwrap(), [info]);
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/attachments");

    let (server, client) = serving(text("grüß")).await;
    assert_eq!(client.attachment(id(7), "a.txt").await.unwrap(), "grüß");
    assert_eq!(asked(&server).await, "GET /api/v1/jobs/7/attachments/a.txt");

    for status in [201, 204] {
        let (server, client) = serving(ResponseTemplate::new(status)).await;
        client.put_attachment(id(7), "a", "grüß".into()).await.unwrap();
        assert_eq!(asked(&server).await, "PUT /api/v1/jobs/7/attachments/a");
        let requests = stub::requests(&server).await;
        assert_eq!(requests[0].body, "grüß".as_bytes());
        assert_eq!(requests[0].headers["content-type"], "text/plain; charset=utf-8");
    }

    let (server, client) = serving(ResponseTemplate::new(204)).await;
    client.delete_attachment(id(7), "a").await.unwrap();
    assert_eq!(asked(&server).await, "DELETE /api/v1/jobs/7/attachments/a");
}

#[tokio::test]
async fn no_key_leads_to_another_address() {
    for (key, segment) in [
        ("a/b", "a%2Fb"),
        ("../../8", "..%2F..%2F8"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("%2e", "%252e"),
        ("a b\n", "a%20b%0A"),
        ("ü", "%C3%BC"),
    ] {
        let (server, client) = serving(ResponseTemplate::new(204)).await;
        client.delete_attachment(id(7), key).await.unwrap();
        let expected = format!("DELETE /api/v1/jobs/7/attachments/{segment}");
        assert_eq!(asked(&server).await, expected);
    }
    let (server, client) = serving(ResponseTemplate::new(204)).await;
    for key in ["", ".", ".."] {
        let error = client.delete_attachment(id(7), key).await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest { .. }), "{error:?}");
    }
    assert!(stub::requests(&server).await.is_empty());
}

#[tokio::test]
async fn operation() {
    let (server, client) = serving(text("anything")).await;
    client.health().await.unwrap();
    client.ready().await.unwrap();
    assert_eq!(client.metrics().await.unwrap(), "anything");
    assert_eq!(client.openapi().await.unwrap(), "anything");
    let requests = stub::requests(&server).await;
    let paths: Vec<_> = requests.iter().map(|request| request.url.path()).collect();
    assert_eq!(paths, ["/healthz", "/readyz", "/metrics", "/openapi.json"]);

    let later = problem(ProblemCode::StoreUnavailable);
    let (server, client) = serving(later.set_delay(Duration::from_millis(1))).await;
    assert_eq!(client.ready().await.unwrap_err().code(), Some(ProblemCode::StoreUnavailable));
    assert_eq!(asked(&server).await, "GET /readyz");
}
