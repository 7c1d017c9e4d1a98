use std::io::Write;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{BODY_LIMIT, Bad, JSON, all_refused, dump, plant, x};
use crate::harness::{Harness, Reply, STORES};

const NEW_JOB: &str = "{\"id\":300,\"name\":\"a\"}";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

#[tokio::test]
async fn wrong_content_types_and_encodings() {
    all_refused(|| {
        let mut cases =
            vec![Bad::new(Method::POST, "/jobs", "unsupported_media_type").body(NEW_JOB)];
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin-1",
            "application/jsonx",
            "multipart/form-data",
            "",
        ] {
            let case = Bad::new(Method::POST, "/jobs", "unsupported_media_type").body(NEW_JOB);
            cases.push(case.header("content-type", kind));
        }
        let put = || Bad::new(Method::PUT, "/jobs/101/attachments/a", "unsupported_media_type");
        cases.push(put().body("x"));
        cases.push(put().body("\"x\"").header("content-type", JSON));
        cases.push(put().body("x").header("content-type", "text/plain; charset=klingon"));
        let log = || Bad::new(Method::POST, "/jobs/101/log", "unsupported_media_type");
        cases.push(log().body("x").header("content-type", "text/html"));
        for encoding in ["br", "deflate", "gzip, gzip", "x"] {
            let case = Bad::raw("/jobs", NEW_JOB, "unsupported_encoding");
            cases.push(case.header("content-encoding", encoding));
        }
        for (encoding, whole) in
            [("gzip", gzip(NEW_JOB.as_bytes())), ("zstd", zstd(NEW_JOB.as_bytes()))]
        {
            let mut damaged = whole.clone();
            damaged[0] ^= 1;
            for body in [NEW_JOB.as_bytes().to_vec(), damaged, whole[..whole.len() - 3].to_vec()] {
                let case = Bad::raw("/jobs", body, "unsupported_encoding");
                cases.push(case.header("content-encoding", encoding));
            }
        }
        let twice = Bad::raw("/jobs", NEW_JOB, "unsupported_encoding");
        cases.push(twice.header("content-encoding", "gzip").header("content-encoding", "zstd"));
        cases
    })
    .await;
}

#[tokio::test]
async fn bodies_past_the_limit_packed_or_not() {
    all_refused(|| {
        let full = |length: usize| format!("{{\"id\":300,\"name\":\"{}\"}}", x(length));
        let past = full(BODY_LIMIT).into_bytes();
        // A gibibyte of zeros: some ten kilobytes of zstd.
        let bomb = {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            let zeros = vec![0; 1 << 20];
            for _ in 0..1024 {
                encoder.write_all(&zeros).unwrap();
            }
            encoder.finish().unwrap()
        };
        assert!(bomb.len() < 200_000);
        let packed = |body: Vec<u8>, encoding: &str| {
            Bad::raw("/jobs", body, "body_too_large").header("content-encoding", encoding)
        };
        vec![
            Bad::raw("/jobs", past.clone(), "body_too_large"),
            packed(gzip(&past), "gzip"),
            packed(zstd(&past), "zstd"),
            packed(gzip(&vec![0; 128 << 20]), "gzip"),
            packed(bomb, "zstd"),
            // Within the limit of the body, past that of the field.
            Bad::raw("/jobs", full(BODY_LIMIT - 1000), "invalid_field"),
            Bad::text(Method::PUT, "/jobs/101/attachments/a", x(BODY_LIMIT + 1), "body_too_large"),
            Bad::text(Method::PUT, "/jobs/101/attachments/a", x(65_537), "invalid_field"),
            Bad::text(Method::PUT, "/jobs/101/attachments/a", b"\xff", "invalid_field"),
            Bad::text(Method::PUT, "/jobs/101/attachments/a%20b", "x", "invalid_field"),
            Bad::text(Method::PUT, "/jobs/101/attachments/%C3%A4", "x", "invalid_field"),
            Bad::text(Method::PUT, "/jobs/101/attachments/%FF", "x", "invalid_field"),
            Bad::text(
                Method::PUT,
                &format!("/jobs/101/attachments/{}", x(129)),
                "x",
                "invalid_field",
            ),
            Bad::text(Method::POST, "/jobs/101/log", "", "invalid_field"),
            Bad::json("/jobs", &json!({"name": x(257)}), "invalid_field"),
        ]
    })
    .await;
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let harness = Harness::start(STORES[0], |config| {
        config.server.body_limit_bytes = BODY_LIMIT;
    })
    .await;
    let address = harness.url().trim_start_matches("http://");
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    write.write_all(head.as_bytes()).await.unwrap();
    let endless = tokio::spawn(async move {
        let chunk = format!("10000\r\n{}\r\n", x(0x10000));
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let mut reply = vec![0; 4096];
    let length = read.read(&mut reply).await.unwrap();
    let reply = String::from_utf8_lossy(&reply[..length]);
    assert!(reply.starts_with("HTTP/1.1 413") && reply.contains("body_too_large"), "{reply}");
    endless.abort();
    harness.create(300, None).await;
    harness.stop().await;
}

/// Writes raw bytes and reads until the service closes.
async fn raw(harness: &Harness, bytes: &[u8]) -> String {
    let address = harness.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = Vec::new();
    // A reset has the same meaning as an end.
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn requests_that_break_off_or_are_none() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        let before = dump(&harness).await;
        let head =
            "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        for request in [
            format!("{head}content-length: 100\r\n\r\n{NEW_JOB}"),
            format!("{head}transfer-encoding: chunked\r\n\r\n16\r\n{NEW_JOB}\r\n"),
            format!("{head}content-length: 5\r\n\r\n{NEW_JOB}"),
            format!("{head}content-length: -5\r\n\r\n{NEW_JOB}"),
            format!("{head}content-length: 99999999999999999999\r\n\r\n{NEW_JOB}"),
            format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n{NEW_JOB}"),
            format!("{head}content-len"),
            "GET / HTTP/9.9\r\n\r\n".to_owned(),
            "GET http://[/ HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            "nonsense\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", x(200_000)),
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(5_000)),
        ] {
            let reply = raw(&harness, request.as_bytes()).await;
            let start: String = request.chars().take(200).collect();
            assert!(!reply.starts_with("HTTP/1.1 2"), "{start}: {reply}");
        }
        assert_eq!(dump(&harness).await, before);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let harness = Harness::start(STORES[0], |config| config.server.body_timeout_ms = 100).await;
    let address = harness.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = vec![0; 4096];
    let length = stream.read(&mut reply).await.unwrap();
    let reply = String::from_utf8_lossy(&reply[..length]);
    assert!(reply.starts_with("HTTP/1.1 408") && reply.contains("request_timeout"), "{reply}");
    harness.stop().await;
}

#[tokio::test]
async fn every_field_may_be_as_long_as_its_limit() {
    use jobtracker_model::limits;

    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let tags: Vec<_> = (0..limits::TAGS).map(|n| format!("{n:0>64}")).collect();
        let job = json!({
            "id": 9_223_372_036_854_775_807_u64, "name": x(limits::NAME),
            "createdBy": x(limits::CREATED_BY), "tags": tags, "options": x(limits::OPTIONS),
            "sourceLink": x(limits::SOURCE_LINK),
        });
        let created = harness.post("/api/v1/jobs", &job).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let path = created.header("location").unwrap().to_owned();
        let shown = harness.get(&path).await.json();
        for field in ["name", "createdBy", "tags", "options", "sourceLink"] {
            assert_eq!(shown[field], job[field], "{field}");
        }
        let change = json!({
            "state": "Running", "message": x(limits::MESSAGE),
            "reasonCode": x(limits::REASON_CODE), "changeId": x(limits::REPEAT_ID),
        });
        assert_eq!(harness.post(&format!("{path}/changes"), &change).await.status, 200);
        let lines = vec![x(limits::LOG_LINE); limits::LOG_LINES_PER_REQUEST];
        let lines = json!({"lines": lines, "appendId": x(limits::REPEAT_ID)});
        assert_eq!(harness.post(&format!("{path}/log"), &lines).await.status, 200);
        let key = format!("{path}/attachments/{}", x(limits::ATTACHMENT_KEY));
        let put = harness.request(Method::PUT, &key).header("content-type", "text/plain");
        assert_eq!(Reply::of(put.body(x(limits::ATTACHMENT))).await.status, 201);
        let ids: Vec<_> = (1..=limits::STATES_PER_REQUEST).collect();
        let states = harness.post("/api/v1/jobs/states", &json!({"ids": ids})).await;
        assert_eq!(states.json()["items"].as_array().unwrap().len(), ids.len());
        let block = json!({"count": limits::IDS_PER_RESERVATION});
        assert_eq!(harness.post("/api/v1/ids", &block).await.json()["count"], block["count"]);
        harness.stop().await;
    }
}
