use jobtracker_client::{Error, NewChange, NewLogLines, State};
use wiremock::ResponseTemplate;

use crate::{
    canned::{created, id, job, json, text},
    stub,
};

fn html(status: u16) -> ResponseTemplate {
    let page = "<html><body>Grüße from the proxy</body></html>".repeat(50);
    ResponseTemplate::new(status).set_body_raw(page, "text/html; charset=utf-8")
}

#[tokio::test]
async fn answers_of_somebody_else_are_errors_with_an_excerpt() {
    let typed =
        |status, body: &str| ResponseTemplate::new(status).set_body_raw(body, "application/json");
    let cases = [
        (html(200), 1),
        (html(404), 1),
        (html(503), 5),
        (ResponseTemplate::new(302).insert_header("location", "/elsewhere"), 1),
        (ResponseTemplate::new(204), 1),
        (text("{}"), 1),
        (typed(200, "{\"id\": 7, \"parent\""), 1),
        (typed(200, "{\"id\": \"seven\"}"), 1),
        (typed(200, ""), 1),
        (typed(200, &"[".repeat(100_000)), 1),
        (typed(404, "{\"message\": \"not one of ours\"}"), 1),
        (typed(200, "\u{1f600}".repeat(1000).as_str()), 1),
    ];
    for (answer, tries) in cases {
        let server = stub::answering(answer).await;
        let error = stub::client(&server).load(id(7)).await.unwrap_err();
        let Error::InvalidReply { status, excerpt, .. } = &error else { panic!("{error:?}") };
        assert!(excerpt.chars().count() <= 200);
        assert!(error.to_string().contains(&status.to_string()));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(stub::requests(&server).await.len(), tries, "{error}");
    }
    let server = stub::answering(html(200)).await;
    let error = stub::client(&server).load(id(7)).await.unwrap_err();
    assert!(error.to_string().contains("Grüße from the proxy"), "{error}");
    assert!(error.outcome_unknown());
}

#[tokio::test]
async fn a_text_that_is_not_utf8_is_an_error() {
    let answer = ResponseTemplate::new(200).set_body_raw(vec![0x66, 0xff, 0xfe], "text/plain");
    let server = stub::answering(answer).await;
    let error = stub::client(&server).attachment(id(7), "a").await.unwrap_err();
    assert!(matches!(error, Error::InvalidReply { status: 200, .. }), "{error:?}");
}

#[tokio::test]
async fn answers_are_read_up_to_the_limit() {
    let size = serde_json::to_vec(&job(7)).unwrap().len();
    let server = stub::answering(json(job(7))).await;
    let builder = || stub::builder(&server.uri());
    let client = builder().max_reply_bytes(size).build().unwrap();
    assert_eq!(client.load(id(7)).await.unwrap(), job(7));
    let client = builder().max_reply_bytes(size - 1).build().unwrap();
    let error = client.load(id(7)).await.unwrap_err();
    assert!(matches!(error, Error::InvalidReply { .. }), "{error:?}");
    assert_eq!(stub::requests(&server).await.len(), 2);
}

#[tokio::test]
async fn compressed_answers_are_unpacked_and_bounded() {
    let packed = |body: &[u8]| {
        let body = zstd::bulk::compress(body, 1).unwrap();
        ResponseTemplate::new(200)
            .set_body_raw(body, "application/json")
            .insert_header("content-encoding", "zstd")
    };
    let server = stub::answering(packed(&serde_json::to_vec(&job(7)).unwrap())).await;
    assert_eq!(stub::client(&server).load(id(7)).await.unwrap(), job(7));
    let request = &stub::requests(&server).await[0];
    assert!(request.headers["accept-encoding"].to_str().unwrap().contains("zstd"));

    let bomb = stub::answering(packed(&vec![b' '; 32 * 1024 * 1024])).await;
    let client = stub::builder(&bomb.uri()).max_reply_bytes(1024 * 1024).build().unwrap();
    let error = client.load(id(7)).await.unwrap_err();
    assert!(matches!(error, Error::InvalidReply { .. }), "{error:?}");

    let torn = json(job(7)).insert_header("content-encoding", "zstd");
    let server = stub::answering(torn).await;
    assert!(stub::client(&server).load(id(7)).await.is_err());
}

#[tokio::test]
async fn large_bodies_are_sent_compressed() {
    let server = stub::answering_in_turn([
        json(jobtracker_client::LogAppended { first_line: 0, count: 1, repeated: false }),
        json(jobtracker_client::LogAppended { first_line: 0, count: 1, repeated: false }),
        json(jobtracker_client::LogAppended { first_line: 0, count: 1, repeated: false }),
        json(serde_json::json!({ "items": [created(1)] })),
        json(crate::canned::updated()),
    ])
    .await;
    let lines = |count: usize| NewLogLines {
        lines: vec!["x".repeat(100); count],
        append_id: Some("one".into()),
    };
    let client = stub::client(&server);
    let plain = stub::builder(&server.uri()).compress_requests(false).build().unwrap();
    client.append_log(id(7), lines(1000)).await.unwrap();
    client.append_log(id(7), lines(1)).await.unwrap();
    plain.append_log(id(7), lines(1000)).await.unwrap();
    let child = jobtracker_client::NewJob::new("a").id(id(1)).options("o".repeat(9000));
    client.create_children(id(7), vec![child]).await.unwrap();
    client.update(id(7), NewChange::new(State::Running).message("m".repeat(4096))).await.unwrap();

    let requests = stub::requests(&server).await;
    let packed: Vec<_> =
        requests.iter().map(|r| r.headers.contains_key("content-encoding")).collect();
    assert_eq!(packed, [true, false, false, true, false]);
    let body = zstd::bulk::decompress(&requests[0].body, 1024 * 1024).unwrap();
    assert_eq!(serde_json::from_slice::<NewLogLines>(&body).unwrap(), lines(1000));
    assert!(requests[0].body.len() < 1000);
}
