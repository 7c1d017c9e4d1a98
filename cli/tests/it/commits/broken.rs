//! Streams that are invalid, that break off, or that are too large: a clear problem, and nothing
//! changes.

use futures_util::StreamExt;
use jobtracker_model::{
    Timestamp,
    upload::{MEDIA_TYPE, Record},
};
use jobtracker_store_suite::{Forest, Staging};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::stream::{stream, tree, tree_begin};
use crate::harness::{Harness, Reply, STORES};

/// Enough that a part of it is staged before the end.
const MANY: u64 = 20_000;

#[tokio::test]
async fn a_connection_that_is_cut_leaves_nothing() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let bytes = stream(&[(1_000_000, MANY)]);
        for tenth in 0..10 {
            let part = &bytes[..bytes.len() * tenth / 10];
            let mut socket = connect(&harness).await;
            let head = format!(
                "PUT /api/v1/commits/cut HTTP/1.1\r\nhost: localhost\r\n\
                 content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n\r\n",
                bytes.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(part).await.unwrap();
            drop(socket);
            assert_eq!(harness.below(1_000_000).await, None);
            assert_eq!(harness.get("/api/v1/jobs/1000001").await.status, 404);
        }
        // Sent again under the same name it is applied once; until the cut tree's rows are removed
        // the service says so.
        loop {
            let reply = harness.send_commit("cut", bytes.clone()).await;
            if reply.status == 200 {
                assert_eq!(reply.json()["jobs"], MANY + 1);
                break;
            }
            let code = reply.json()["code"].as_str().unwrap().to_owned();
            assert_eq!(code, "commit_in_progress");
        }
        assert_eq!(harness.below(1_000_000).await, Some([MANY, MANY * 9 / 10, MANY / 10]));
        harness.stop().await;
    }
}

/// The tree's ids are held until its rows have been removed, which takes a while.
#[tokio::test]
async fn jobs_of_an_upload_that_was_thrown_away_can_be_created_at_once() {
    const LARGE: u64 = 5_000;
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let mut forest = Forest::default();
        forest.root(1);
        (2..=LARGE).for_each(|child| forest.child(child, 1));
        let staging = Staging::new(7, forest.commits().remove(0), 1_000);
        for rows in staging.calls {
            harness.store().stage(staging.id, staging.commit.root, rows).await.unwrap();
        }
        harness.store().discard(staging.id);
        harness.create(1, None).await;
        harness.create(LARGE, Some(1)).await;
        assert_eq!(harness.below(1).await, Some([1, 0, 0]));
        harness.stop().await;
    }
}

async fn connect(harness: &Harness) -> TcpStream {
    let address = harness.url().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn what_is_not_a_commit_is_refused_with_its_position() {
    let good = stream(&[(100, 5)]);
    let mut newer = good.clone();
    newer[8] = 2;
    let mut altered = good.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    // The tree was complete before the missing end, so it was applied.
    let (whole, part) = (Some([5, 5, 0]), None);
    for (bytes, words, left) in [
        (b"{}".to_vec(), "Record 0 the stream does not begin with JOBTREES", part),
        (newer, "version 2", part),
        (altered, "Record ", part),
        (Vec::new(), "Record 0", part),
        (good[..40].to_vec(), "broke off", part),
        (good[..good.len() - 3].to_vec(), "broke off", whole),
        ([&good[..], &[1]].concat(), "broke off", whole),
    ] {
        let harness = Harness::start(STORES[0], |_| {}).await;
        let reply = harness.send_commit("bad", bytes).await;
        reply.assert_problem("invalid_commit");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{detail}");
        assert_eq!(harness.below(100).await, left, "{detail}");
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_the_request_says_has_to_fit() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let good = stream(&[(100, 5)]);
    let request = harness.request(reqwest::Method::PUT, "/api/v1/commits/c").body(good.clone());
    let json = request.try_clone().unwrap().header("content-type", "application/json");
    Reply::of(json).await.assert_problem("unsupported_media_type");
    Reply::of(request).await.assert_problem("unsupported_media_type");
    let packed = |encoding| harness.commit("c", good.clone()).header("content-encoding", encoding);
    Reply::of(packed("br")).await.assert_problem("unsupported_encoding");
    Reply::of(packed("zstd")).await.assert_problem("invalid_commit");
    Reply::of(packed("gzip")).await.assert_problem("invalid_commit");
    for name in ["..", "a%20b", &"x".repeat(65)] {
        let reply = harness.send_commit(name, good.clone()).await;
        assert!([400, 404].contains(&reply.status), "{name}: {}", reply.text());
    }
    harness.send_commit("a,b", good.clone()).await.assert_problem("invalid_query");
    let other_rules = {
        let mut writer = jobtracker_model::upload::Writer::new(false);
        tree(&mut writer, 100, 1, true);
        writer.end();
        writer.take()
    };
    harness.send_commit("c", other_rules).await.assert_problem("other_rules");
    assert_eq!(harness.below(100).await, None);
    harness.stop().await;
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let harness = Harness::start(STORES[0], |config| {
        config.commits.limit_jobs = 100;
        config.commits.limit_bytes = 1 << 20;
    })
    .await;
    let reply = harness.send_commit("jobs", stream(&[(1000, 100)])).await;
    reply.assert_problem("commit_too_large");
    assert!(reply.json()["detail"].as_str().unwrap().contains("100 new jobs"));
    // A record that repeats almost for ever: a gigabyte in a few kilobytes.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap();
    assert!(bomb.len() < 1 << 17);
    let request = harness.commit("bomb", bomb).header("content-encoding", "zstd");
    Reply::of(request).await.assert_problem("invalid_commit");
    // A good tree, and then endless lines for its log.
    let mut long = jobtracker_model::upload::Writer::new(true);
    tree_begin(&mut long, 2000);
    for _ in 0..(1 << 20) / 100 {
        let line = Record::LogLine { time: Timestamp::MIN, text: "x".repeat(100).into() };
        long.write(&line).unwrap();
    }
    let long = long.take();
    let packed = zstd::encode_all(&*long, 1).unwrap();
    let request = harness.commit("long", packed).header("content-encoding", "zstd");
    let reply = Reply::of(request).await;
    reply.assert_problem("commit_too_large");
    // A stream that unpacks to nothing must not go on for ever either.
    let empty = zstd::encode_all(&b""[..], 1).unwrap();
    let nothing = empty.repeat((1 << 20) / empty.len() + 1);
    let request = harness.commit("nothing", nothing).header("content-encoding", "zstd");
    Reply::of(request).await.assert_problem("commit_too_large");
    assert_eq!(harness.below(1000).await, None);
    harness.stop().await;
}

#[tokio::test]
async fn a_commit_that_falls_silent_is_given_up_and_another_may_come() {
    given_up(200, 600_000).await;
}

#[tokio::test]
async fn a_commit_that_takes_too_long_is_given_up() {
    given_up(600_000, 200).await;
}

/// A sender that stops in the middle, with these bounds for its pause and for the whole.
async fn given_up(silence_timeout_ms: u64, receive_timeout_ms: u64) {
    let harness = Harness::start(STORES[0], |config| {
        config.commits.silence_timeout_ms = silence_timeout_ms;
        config.commits.receive_timeout_ms = receive_timeout_ms;
        config.commits.at_once = 1;
    })
    .await;
    let bytes = stream(&[(100, 5)]);
    let (body, _hold) = half_of(&bytes);
    Reply::of(harness.commit("slow", body)).await.assert_problem("request_timeout");
    // The session has been put away before the answer. On a busy machine the whole upload may
    // exceed these bounds, too.
    let begun = std::time::Instant::now();
    let reply = loop {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it is never taken");
        let reply = harness.send_commit("slow", bytes.clone()).await;
        if reply.status == 200 || reply.json()["code"] != "request_timeout" {
            break reply;
        }
    };
    assert_eq!(reply.status, 200, "{}", reply.text());
    harness.stop().await;
}

#[tokio::test]
async fn while_one_commit_comes_in_there_may_be_no_room_for_another() {
    let harness = Harness::start(STORES[0], |config| config.commits.at_once = 1).await;
    let bytes = stream(&[(100, 5)]);
    let (body, hold) = half_of(&bytes);
    let slow = tokio::spawn(Reply::of(harness.commit("slow", body)));
    while harness.get("/api/v1/commits/slow").await.status == 404 {
        tokio::task::yield_now().await;
    }
    harness.send_commit("other", bytes.clone()).await.assert_problem("overloaded");
    drop(hold);
    slow.await.unwrap().assert_problem("invalid_commit");
    assert_eq!(harness.send_commit("other", bytes).await.status, 200);
    harness.stop().await;
}

/// A body of the first half of these bytes, which ends only when the other value is dropped.
fn half_of(bytes: &[u8]) -> (reqwest::Body, tokio::sync::oneshot::Sender<()>) {
    let half = bytes[..bytes.len() / 2].to_vec();
    let (hold, held) = tokio::sync::oneshot::channel::<()>();
    let half = futures_util::stream::once(async move { Ok::<_, std::io::Error>(half) });
    let end = futures_util::stream::once(async move {
        // Never sent: it ends when the sender is dropped.
        let _ = held.await;
        Ok(Vec::new())
    });
    (reqwest::Body::wrap_stream(half.chain(end)), hold)
}
