//! A stop lets requests end, ends waits, and loses nothing.

use std::{sync::Arc, time::Duration};

use jobtracker_store::{Store, memory::MemoryStore};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::Semaphore,
    task::JoinHandle,
};

use crate::{
    connections::Raw,
    harness::{Harness, Reply, STORES},
    moving::watched::{Fail, Watch},
};

#[tokio::test]
async fn a_stop_ends_waits_at_once() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(100, None).await;
        let path = "/api/v1/jobs/100/wait?timeoutMs=60000";
        let request = harness.request(Method::GET, path);
        let waiting = tokio::spawn(Reply::of(request));
        harness.waits(1).await;
        harness.stop().await;
        waiting.await.unwrap().assert_problem("shutting_down");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut harness = Harness::start(STORES[1], |_| {}).await;
    for round in 0..3_u64 {
        let root =
            harness.post("/api/v1/jobs", &json!({"name": "root"})).await.json()["id"].clone();
        let jobs: Vec<_> = (0..50).map(|_| json!({"name": "child"})).collect();
        let path = format!("/api/v1/jobs/{root}/children");
        assert_eq!(harness.post(&path, &json!({"jobs": jobs})).await.status, 201);
        let directory = harness.stop().await.unwrap();
        harness = Harness::restart(directory, |_| {}).await;
        let shown = harness.get(&format!("/api/v1/jobs/{root}")).await.json();
        assert_eq!(shown["children"]["pending"], 50);
        assert_eq!(harness.get("/api/v1/roots").await.json()["total"], round + 1);
    }
    harness.stop().await;
}

#[tokio::test]
async fn writes_during_a_stop_are_acknowledged_or_not_done() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    let request = |id: u64| {
        let request = harness.request(Method::POST, "/api/v1/jobs");
        request.json(&json!({"id": id, "name": "a"}))
    };
    let writing: Vec<_> = (1..=200)
        .map(|id| {
            let request = request(id);
            tokio::spawn(async move { (id, request.send().await) })
        })
        .collect();
    let directory = harness.stop().await.unwrap();
    let harness = Harness::restart(directory, |_| {}).await;
    for write in writing {
        let (id, reply) = write.await.unwrap();
        let found = harness.get(&format!("/api/v1/jobs/{id}")).await.status;
        match reply.map(|reply| reply.status().as_u16()) {
            Ok(201) => assert_eq!(found, 200, "job {id} was acknowledged"),
            Ok(status) => assert_eq!((status, found), (503, 404), "job {id} was refused"),
            // The connection was cut: either may be.
            Err(_) => assert!(found == 200 || found == 404),
        }
    }
    harness.stop().await;
}

/// Stops the service, which must take far less time than its requests may take.
async fn stops(harness: Harness) {
    let stopping = tokio::time::timeout(Duration::from_secs(60), harness.stop());
    stopping.await.expect("the stop is held up");
}

async fn with_a_long_grace() -> Harness {
    Harness::start(STORES[0], |config| config.server.shutdown_grace_ms = 600_000).await
}

#[tokio::test]
async fn clients_that_send_or_take_nothing_do_not_hold_a_stop() {
    let put = "PUT /api/v1/commits/c HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/vnd.jobtracker.commit\r\n";
    let post =
        "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let unread = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    let all = [
        String::new(),
        "GET /healthz HT".to_owned(),
        format!("{post}content-length: 100\r\n\r\n{{"),
        format!("{post}transfer-encoding: chunked\r\n\r\n"),
        format!("{put}content-length: 100\r\n\r\nJOBTREES"),
        "DELETE /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n".to_owned(),
        unread,
    ];
    let stops = all.map(async |sent| {
        let harness = with_a_long_grace().await;
        let mut one = Raw::open(&harness).await;
        one.send(&sent).await;
        // A request on another connection is answered after the service has read the first.
        assert_eq!(harness.get("/healthz").await.status, 200);
        stops(harness).await;
        one.closed().await;
    });
    futures_util::future::join_all(stops).await;
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_during_a_stop_arrives_whole() {
    let harness = with_a_long_grace().await;
    harness.create(100, None).await;
    // More than the buffers of the connection hold; in JSON each quote is two bytes.
    let lines = vec!["\"".repeat(8_000); 500];
    assert_eq!(harness.post("/api/v1/jobs/100/log", &json!({"lines": lines})).await.status, 200);
    let address = harness.url().strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut slow = socket.connect(address).await.unwrap();
    let get = "GET /api/v1/jobs/100/log?limit=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    slow.write_all(get.as_bytes()).await.unwrap();
    let mut came = vec![slow.read_u8().await.unwrap()];
    let stopping = tokio::spawn(stops(harness));
    let mut part = vec![0; 128 * 1024];
    loop {
        match slow.read(&mut part).await.unwrap() {
            0 => break,
            bytes => came.extend_from_slice(&part[..bytes]),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = String::from_utf8(came).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(length.parse::<usize>().unwrap() > 8_000_000, "{head}");
    assert_eq!(body.len().to_string(), length);
    stopping.await.unwrap();
}

/// A service with a request that is under way until the store is let go on.
async fn working(grace_ms: u64) -> (Harness, JoinHandle<reqwest::Result<u16>>, Arc<Semaphore>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let watched = Watch::over(&store, []);
    let (came, goes_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let waits = Fail::Waits { came: Arc::clone(&came), goes_on: Arc::clone(&goes_on) };
    watched.failing.lock().unwrap().push_back(waits);
    let grace = |config: &mut jobtracker_server::Config| {
        config.server.shutdown_grace_ms = grace_ms;
    };
    let harness = Harness::on(watched.store(), None, grace);
    let request = harness.request(Method::POST, "/api/v1/jobs").json(&json!({"name": "a"}));
    let answer = async { request.send().await.map(|reply| reply.status().as_u16()) };
    let answer = tokio::spawn(answer);
    came.acquire().await.unwrap().forget();
    (harness, answer, goes_on)
}

#[tokio::test]
async fn a_request_that_is_worked_on_has_the_whole_grace() {
    let (harness, answer, goes_on) = working(600_000).await;
    let mut stopping = tokio::spawn(stops(harness));
    // Longer than any other delay of a stop.
    let early = tokio::time::timeout(Duration::from_millis(2_500), &mut stopping).await;
    assert!(early.is_err() && !answer.is_finished());
    goes_on.add_permits(1);
    assert_eq!(answer.await.unwrap().unwrap(), 201);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_worked_on_has_no_more_than_the_grace() {
    let (harness, answer, goes_on) = working(1_000).await;
    let stopping = tokio::spawn(stops(harness));
    answer.await.unwrap().unwrap_err();
    // Operations that the engine has taken are finished all the same.
    assert!(!stopping.is_finished());
    goes_on.add_permits(1);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_does_not_hold_a_stop() {
    let harness = with_a_long_grace().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let action = json!({"states": ["RanToCompletion"], "http": {"url": url}});
    let job = json!({"id": 100, "name": "a", "actions": [action]});
    let created = harness.post("/api/v1/jobs", &job).await;
    assert_eq!(created.status, 201, "{}", created.text());
    harness.report(100, "RanToCompletion").await;
    let _delivery = silent.accept().await.unwrap();
    let target = json!({"http": {"url": url}});
    let request = harness.request(Method::POST, "/api/v1/actions/test").json(&target);
    let trying = tokio::spawn(Reply::of(request));
    let _test = silent.accept().await.unwrap();
    stops(harness).await;
    trying.await.unwrap().assert_problem("shutting_down");
}
