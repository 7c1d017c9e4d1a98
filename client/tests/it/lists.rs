use futures_util::{StreamExt, TryStreamExt};
use jobtracker_client::{
    Blocker, ListJobs, ListPage, LogFrom, LogLine, LogQuery, ProblemCode, RootPage, RootsQuery,
    State,
};
use wiremock::MockServer;

use crate::{
    canned::{change, delivery, id, job, json, page, problem, time},
    stub,
};

async fn queries(server: &MockServer) -> Vec<String> {
    let requests = stub::requests(server).await;
    requests.iter().map(|request| request.url.query().unwrap_or("").to_owned()).collect()
}

#[tokio::test]
async fn a_stream_follows_the_cursors_and_keeps_the_filter() {
    let pages = [
        page(vec![job(1), job(2)], Some("a+b/=")),
        page(vec![], Some("c")),
        page(vec![job(3)], None),
    ];
    let server = stub::answering_in_turn(pages.map(json)).await;
    let client = stub::client(&server);
    let list = ListJobs::default().states([State::Running, State::Faulted]).limit(2);
    let jobs: Vec<_> = client.children_stream(id(9), list).try_collect().await.unwrap();
    assert_eq!(jobs, [job(1), job(2), job(3)]);
    assert_eq!(
        queries(&server).await,
        [
            "states=Running%2CFaulted&limit=2",
            "states=Running%2CFaulted&limit=2&cursor=a%2Bb%2F%3D",
            "states=Running%2CFaulted&limit=2&cursor=c"
        ]
    );
}

#[tokio::test]
async fn a_page_is_fetched_when_it_is_needed_and_not_sooner() {
    let first = page(vec![job(1), job(2)], Some("a"));
    let server = stub::answering_in_turn([json(first), json(page(vec![job(3)], None))]).await;
    let client = stub::client(&server);
    let mut stream = client.descendants_stream(id(9), ListJobs::default().cursor("start"));
    assert!(stub::requests(&server).await.is_empty());
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(stub::requests(&server).await.len(), 1);
    stream.next().await.unwrap().unwrap();
    assert!(stream.next().await.is_none());
    assert_eq!(queries(&server).await, ["cursor=start", "cursor=a"]);
}

#[tokio::test]
async fn an_error_ends_a_stream() {
    let first = json(page(vec![job(1)], Some("a")));
    let server = stub::answering_in_turn([first, problem(ProblemCode::InvalidCursor)]).await;
    let client = stub::client(&server);
    let mut stream = client.children_stream(id(9), ListJobs::default());
    assert_eq!(stream.next().await.unwrap().unwrap(), job(1));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::InvalidCursor));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_list_that_turns_in_a_circle_is_an_error() {
    let server = stub::answering(json(page(vec![job(1)], Some("a")))).await;
    let client = stub::client(&server);
    let stream = client.children_stream(id(9), ListJobs::default());
    let items: Vec<_> = stream.collect().await;
    assert!(items.len() <= 3 && items.last().unwrap().is_err());
}

#[tokio::test]
async fn every_list_streams() {
    let line = |line| LogLine { line, time: time(), attempt: None, text: "x".into() };
    let blocker = Blocker { job: job(1), last_change: change(), path: None };
    let roots = |job, next: Option<&str>| RootPage {
        items: vec![job],
        next_cursor: next.map(str::to_owned),
        total: 2,
        total_exact: true,
        histogram: None,
    };
    let server = stub::answering_in_turn([
        json(page(vec![change()], Some("a"))),
        json(page(vec![change()], None)),
        json(page(vec![blocker.clone()], Some("a"))),
        json(page(vec![blocker.clone()], None)),
        json(roots(job(1), Some("a"))),
        json(roots(job(2), None)),
        json(page(vec![line(0)], Some("a"))),
        json(page(vec![line(1)], None)),
        json(page(vec![delivery(1)], Some("a"))),
        json(page(vec![delivery(2)], None)),
        json(page(vec![delivery(1)], Some("a"))),
        json(page(vec![delivery(2)], None)),
    ])
    .await;
    let client = stub::client(&server);
    let page = || ListPage::default().limit(1);
    let changes: Vec<_> = client.changes_stream(id(9), page()).try_collect().await.unwrap();
    assert_eq!(changes, [change(), change()]);
    let blockers: Vec<_> = client.blockers_stream(id(9), page()).try_collect().await.unwrap();
    assert_eq!(blockers, [blocker.clone(), blocker]);
    let query = RootsQuery::default().name_prefix("n").limit(1);
    let roots: Vec<_> = client.roots_stream(query).try_collect().await.unwrap();
    assert_eq!(roots, [job(1), job(2)]);
    let query = LogQuery::default().from(LogFrom::Line(0)).limit(1);
    let lines: Vec<_> = client.log_stream(id(9), query).try_collect().await.unwrap();
    assert_eq!(lines, [line(0), line(1)]);
    let mut of_job = client.deliveries_stream(id(7), page());
    let mut failed = client.failed_deliveries_stream(time(), time(), page());
    for stream in [&mut of_job, &mut failed] {
        let deliveries: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(deliveries, [delivery(1), delivery(2)]);
    }
    let queries = queries(&server).await;
    assert_eq!(queries[..4], ["limit=1", "limit=1&cursor=a", "limit=1", "limit=1&cursor=a"]);
    assert_eq!(queries[4..6], ["namePrefix=n&limit=1", "namePrefix=n&limit=1&cursor=a"]);
    assert_eq!(queries[6..8], ["from=0&limit=1", "limit=1&cursor=a"]);
    assert_eq!(queries[8..10], ["limit=1", "limit=1&cursor=a"]);
    let range = "from=2026-11-21T09%3A30%3A00.120Z&to=2026-11-21T09%3A30%3A00.120Z";
    assert_eq!(queries[10], format!("limit=1&{range}"));
    assert_eq!(queries[11], format!("limit=1&cursor=a&{range}"));
}
