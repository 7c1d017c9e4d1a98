use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use jobtracker_client::{
    Error, JobId, ListPage, MEDIA_TYPE, Page, Problem, ProblemCode, Refusal, Result, RetryPolicy,
    TreeResult, UploadId, UploadOutcome, UploadSource,
};
use wiremock::{MockServer, Request, ResponseTemplate};

use crate::{
    canned::{id, json, page, problem, problem_with},
    stub,
};

/// Chunks to send, and what was asked to be left out at each opening.
#[derive(Default)]
pub struct Chunks {
    chunks: Vec<Vec<u8>>,
    left_out: Mutex<Vec<HashSet<JobId>>>,
}

impl Chunks {
    fn new() -> Arc<Self> {
        let chunks = (0..40).map(|number| vec![number; 10_000]).collect();
        Arc::new(Self { chunks, left_out: Mutex::default() })
    }

    fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    fn left_out(&self) -> Vec<Vec<u64>> {
        let numbers = |set: &HashSet<JobId>| {
            let mut numbers: Vec<u64> = set.iter().map(|id| id.get()).collect();
            numbers.sort_unstable();
            numbers
        };
        self.left_out.lock().unwrap().iter().map(numbers).collect()
    }
}

impl UploadSource for Chunks {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>> {
        self.left_out.lock().unwrap().push(applied.clone());
        stream::iter(self.chunks.clone()).map(Ok).boxed()
    }
}

fn name() -> UploadId {
    "nightly.1".parse().unwrap()
}

fn tree_result(root: u64) -> TreeResult {
    TreeResult {
        root: id(root),
        jobs: 3,
        changes: 4,
        repeated: 0,
        blocked: 0,
        blocked_changes: Vec::new(),
        refusal: None,
    }
}

fn refused(root: u64) -> TreeResult {
    let refusal = Refusal { position: 7, code: "too_deep".into(), detail: String::new() };
    TreeResult { refusal: Some(refusal), ..tree_result(root) }
}

fn outcome(complete: bool) -> UploadOutcome {
    let mut outcome = UploadOutcome { complete, ..UploadOutcome::new(name()) };
    outcome.add(&tree_result(1));
    outcome.add(&refused(2));
    outcome
}

/// A server that gives one kind of answers to uploads and another to questions, each in turn.
async fn serving(puts: Vec<ResponseTemplate>, gets: Vec<ResponseTemplate>) -> MockServer {
    let (puts, gets) = (Mutex::new(puts.into_iter()), Mutex::new(gets.into_iter()));
    stub::answering(move |request: &Request| {
        let answers = if request.method == "PUT" { &puts } else { &gets };
        answers.lock().unwrap().next().expect("a request that was not to come")
    })
    .await
}

async fn send(server: &MockServer, source: &Arc<Chunks>) -> Result<UploadOutcome> {
    stub::client(server).upload(&name(), Arc::clone(source) as _).await
}

/// What the server was asked, as methods and paths with queries.
async fn asked(server: &MockServer) -> Vec<String> {
    let show = |request: &Request| {
        let path = request.url.path().trim_start_matches("/api/v1/commits/").to_owned();
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{} {path}{query}", request.method)
    };
    stub::requests(server).await.iter().map(show).collect()
}

fn busy() -> ResponseTemplate {
    problem(ProblemCode::StoreUnavailable)
}

#[tokio::test]
async fn it_is_one_compressed_stream() {
    let server = serving(vec![json(outcome(true)); 2], vec![]).await;
    let source = Chunks::new();
    assert_eq!(send(&server, &source).await.unwrap(), outcome(true));
    let plain = stub::builder(&server.uri()).compress_requests(false).build().unwrap();
    plain.upload(&name(), Arc::clone(&source) as _).await.unwrap();

    assert_eq!(asked(&server).await, ["PUT nightly.1", "PUT nightly.1"]);
    let requests = stub::requests(&server).await;
    assert!(requests.iter().all(|request| request.headers["content-type"] == MEDIA_TYPE));
    assert_eq!(requests[0].headers["content-encoding"], "zstd");
    assert!(!requests[0].headers.contains_key("content-length"));
    assert!(requests[0].body.len() < 4000);
    assert_eq!(zstd::stream::decode_all(&requests[0].body[..]).unwrap(), source.bytes());
    assert!(!requests[1].headers.contains_key("content-encoding"));
    assert_eq!(requests[1].body, source.bytes());
}

#[tokio::test]
async fn an_outcome_that_is_known_is_not_asked_for_twice() {
    let server = serving(vec![busy()], vec![json(outcome(true))]).await;
    let source = Chunks::new();
    assert_eq!(send(&server, &source).await.unwrap(), outcome(true));
    assert_eq!(asked(&server).await, ["PUT nightly.1", "GET nightly.1"]);
}

#[tokio::test]
async fn trees_that_were_applied_are_not_sent_again() {
    let pages =
        [page(vec![tree_result(1), refused(2)], Some("c")), page(vec![tree_result(3)], None)];
    let gets = [json(outcome(false)), json(&pages[0]), json(&pages[1])];
    let server = serving(vec![busy(), json(outcome(true))], gets.into()).await;
    let source = Chunks::new();
    assert_eq!(send(&server, &source).await.unwrap(), outcome(true));
    let expected = [
        "PUT nightly.1",
        "GET nightly.1",
        "GET nightly.1/trees?limit=1000",
        "GET nightly.1/trees?limit=1000&cursor=c",
        "PUT nightly.1",
    ];
    assert_eq!(asked(&server).await, expected);
    assert_eq!(source.left_out(), [vec![], vec![1, 3]]);
}

#[tokio::test]
async fn what_nothing_is_known_of_is_sent_whole() {
    let mut elsewhere = Problem::new(ProblemCode::CommitInProgress, "");
    elsewhere.retry_after_ms = Some(3);
    for failure in [busy(), problem(ProblemCode::Overloaded), problem_with(&elsewhere)] {
        let unknown = problem(ProblemCode::CommitNotFound);
        let server = serving(vec![failure, json(outcome(true))], vec![unknown]).await;
        let source = Chunks::new();
        assert_eq!(send(&server, &source).await.unwrap(), outcome(true));
        assert_eq!(asked(&server).await, ["PUT nightly.1", "GET nightly.1", "PUT nightly.1"]);
        assert_eq!(source.left_out(), vec![Vec::<u64>::new(); 2]);
    }
}

#[tokio::test]
async fn a_service_that_cannot_tell_gets_it_again() {
    let server = serving(vec![busy(), json(outcome(true))], vec![busy(); 5]).await;
    assert_eq!(send(&server, &Chunks::new()).await.unwrap(), outcome(true));

    let server = serving(vec![busy()], vec![problem(ProblemCode::Unauthorized)]).await;
    let error = send(&server, &Chunks::new()).await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Unauthorized));
    assert!(error.outcome_unknown());
}

/// As when the service is replaced by another one: that takes seconds, and little is sent
/// meanwhile.
#[tokio::test]
async fn a_service_that_is_away_for_long_gets_it_in_the_end() {
    let puts = [vec![busy(); 50], vec![json(outcome(true))]].concat();
    let server = serving(puts, vec![problem(ProblemCode::CommitNotFound); 50]).await;
    let client = stub::builder(&server.uri()).retry(stub::stubborn()).build().unwrap();
    assert_eq!(client.upload(&name(), Chunks::new()).await.unwrap(), outcome(true));
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    for code in [ProblemCode::InvalidCommit, ProblemCode::CommitConflict, ProblemCode::OtherRules] {
        let server = serving(vec![problem(code)], vec![]).await;
        let error = send(&server, &Chunks::new()).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
    }
    let other = UploadOutcome { id: "other".parse().unwrap(), ..outcome(true) };
    for answer in [outcome(false), other] {
        let server = serving(vec![json(answer)], vec![]).await;
        let error = send(&server, &Chunks::new()).await.unwrap_err();
        assert!(matches!(error, Error::InvalidReply { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn its_time_is_its_own() {
    let slow = json(outcome(true)).set_delay(Duration::from_millis(300));
    let server = serving(vec![slow], vec![]).await;
    let ms = Duration::from_millis(1);
    let builder = || stub::builder(&server.uri()).request_timeout(10 * ms).deadline(10 * ms);
    let client = builder().upload_timeout(Duration::from_secs(60)).build().unwrap();
    assert_eq!(client.upload(&name(), Chunks::new()).await.unwrap(), outcome(true));

    let hanging = json(outcome(true)).set_delay(Duration::from_secs(3600));
    let server = stub::answering(hanging).await;
    let client = stub::builder(&server.uri())
        .upload_timeout(10 * ms)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let error = client.upload(&name(), Chunks::new()).await.unwrap_err();
    assert!(error.outcome_unknown() && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn questions() {
    let unknown = problem(ProblemCode::CommitNotFound);
    let first: Page<TreeResult> = page(vec![tree_result(1)], Some("c"));
    let last = page(vec![refused(2)], None);
    let gets = [json(outcome(false)), unknown, json(&first), json(&first), json(&last)];
    let server = serving(vec![], gets.into()).await;
    let client = stub::client(&server);
    assert_eq!(client.upload_outcome(&name()).await.unwrap(), Some(outcome(false)));
    assert_eq!(client.upload_outcome(&name()).await.unwrap(), None);
    let list = ListPage::default().limit(1);
    assert_eq!(client.upload_trees(&name(), list.clone()).await.unwrap(), first);
    let all: Vec<_> = client.upload_trees_stream(&name(), list).try_collect().await.unwrap();
    assert_eq!(all, [tree_result(1), refused(2)]);
    let asked = asked(&server).await;
    assert_eq!(asked[2], "GET nightly.1/trees?limit=1");
    assert_eq!(asked[4], "GET nightly.1/trees?limit=1&cursor=c");
}
