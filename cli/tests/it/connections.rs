//! Connections: the bytes on them that no handler sees, and how they end.

use std::time::{Duration, Instant};

use jobtracker_server::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Harness, Reply, STORES};

/// Much longer than any wait here.
const HANGS: Duration = Duration::from_secs(60);

/// A connection that sends bytes unchanged.
pub struct Raw {
    stream: TcpStream,
    /// Bytes that have come and are not parsed.
    came: Vec<u8>,
}

/// The head of a reply.
#[derive(Debug)]
struct Head(String);

impl Head {
    fn status(&self) -> u16 {
        self.0[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Raw {
    pub async fn open(harness: &Harness) -> Self {
        let address = harness.url().strip_prefix("http://").unwrap();
        Self { stream: TcpStream::connect(address).await.unwrap(), came: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // After the service has closed, its last answer can still be read.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next reply without its body; `None` after the service has closed.
    async fn reply(&mut self, to: &str) -> Option<Head> {
        let end = loop {
            if let Some(end) = self.came.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if self.read_on().await == 0 {
                return None;
            }
        };
        let head = Head(String::from_utf8(self.came.drain(..end).collect()).unwrap());
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        let length: usize = if to == "HEAD" { 0 } else { length };
        while self.came.len() < length {
            assert!(self.read_on().await > 0);
        }
        self.came.drain(..length);
        Some(head)
    }

    async fn read_on(&mut self) -> usize {
        let reading = self.stream.read_buf(&mut self.came);
        tokio::time::timeout(HANGS, reading).await.expect("the service is silent").unwrap_or(0)
    }

    /// Waits until the service has closed, and ignores what it still sends.
    pub async fn closed(mut self) {
        let mut rest = Vec::new();
        // A reset has the same meaning as an end.
        let _ = self.stream.read_to_end(&mut rest).await;
    }
}

const WISHES: [&str; 4] = [
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\nsec-websocket-version: 13\r\n",
    // A header that nginx is often configured to set for every request.
    "Connection: upgrade\r\n",
    "connection: keep-alive\r\nconnection: UPGRADE\r\nupgrade: WebSocket\r\n",
];

#[tokio::test]
async fn an_upgrade_that_nothing_takes_is_ignored() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut one = Raw::open(&harness).await;
    for wish in WISHES {
        let get = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{wish}\r\n");
        let head = format!("POST /api/v1/ids HTTP/1.1\r\nhost: localhost\r\n{wish}");
        let post = format!("{head}content-type: application/json\r\n");
        let sized = format!("{post}content-length: 11\r\n\r\n{{\"count\":1}}");
        let chunked =
            format!("{post}transfer-encoding: chunked\r\n\r\nb\r\n{{\"count\":1}}\r\n0\r\n\r\n");
        for request in [get, sized, chunked] {
            // In one part, and in two parts with a break in the head.
            for part in [request.len(), 40] {
                one.send(&request[..part]).await;
                tokio::task::yield_now().await;
                one.send(&request[part..]).await;
                let reply = one.reply("").await.unwrap_or_else(|| panic!("closed: {request}"));
                assert_eq!(reply.status(), 200, "{request}");
                let told = (reply.header("connection"), reply.header("upgrade"));
                assert_eq!(told, (None, None), "{request}");
            }
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn of_requests_in_a_row_each_is_answered_as_it_asks() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut one = Raw::open(&harness).await;
    let row = ["GET", "HEAD", "POST", "HEAD", "GET", "POST", "GET"];
    let requests = row.iter().enumerate().map(|(number, method)| {
        let (path, more) = match *method {
            "POST" => ("/api/v1/ids", "content-type: application/json\r\ncontent-length: 11\r\n"),
            _ => ("/healthz", ""),
        };
        let last = if number + 1 == row.len() { "connection: close\r\n" } else { "" };
        let body = if more.is_empty() { "" } else { "{\"count\":1}" };
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{more}{last}\r\n{body}")
    });
    one.send(requests.collect::<String>()).await;
    for (number, method) in row.iter().enumerate() {
        let reply = one.reply(method).await.unwrap_or_else(|| panic!("closed before {number}"));
        assert_eq!(reply.status(), 200, "{number}");
        let last = (number + 1 == row.len()).then_some("close");
        assert_eq!(reply.header("connection"), last, "{number}");
    }
    assert!(one.reply("GET").await.is_none());
    harness.stop().await;
}

#[tokio::test]
async fn of_requests_in_a_row_each_is_answered_as_it_asks_when_answers_are_read_late() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let mut one = Raw::open(&harness).await;
    let row = [("GET", "/openapi.json"), ("HEAD", "/healthz"), ("GET", "/healthz")].repeat(100);
    let requests =
        row.iter().map(|(method, path)| format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    one.send(requests.collect::<String>()).await;
    // Until the service has to stop within an answer: more than the buffers of the connection hold.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (number, (method, _)) in row.iter().enumerate() {
        let reply = one.reply(method).await.unwrap_or_else(|| panic!("closed before {number}"));
        assert_eq!(reply.status(), 200, "{number}");
    }
    harness.stop().await;
}

/// Some clients send an empty line after a body; the next request may come much later.
#[tokio::test]
async fn empty_lines_before_a_request_are_no_part_of_it() {
    let short = |config: &mut Config| config.server.head_timeout_ms = 200;
    let harness = Harness::start(STORES[0], short).await;
    let post = "POST /api/v1/ids HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 11\r\n\r\n{\"count\":1}";
    for parts in [&["\r\n"][..], &["\n\r\n"], &["", "\r\n"], &["\r", "\n"], &["", "\r", "\n\n"]] {
        let mut one = Raw::open(&harness).await;
        for round in 0..2 {
            one.send(format!("{post}{}", parts[0])).await;
            assert_eq!(one.reply("").await.unwrap().status(), 200, "{parts:?} {round}");
            for part in &parts[1..] {
                one.send(part).await;
                tokio::task::yield_now().await;
            }
        }
        // Longer than a head may take.
        tokio::time::sleep(Duration::from_millis(500)).await;
        one.send(post).await;
        let reply = one.reply("").await.unwrap_or_else(|| panic!("closed: {parts:?}"));
        assert_eq!(reply.status(), 200, "{parts:?}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_connection_is_kept_for_as_long_as_is_set() {
    const KEPT: Duration = Duration::from_secs(1);
    let short = |config: &mut Config| config.server.keep_alive_ms = KEPT.as_millis() as u64;
    let harness = Harness::start(STORES[0], short).await;
    // At several times of the clock that actix-http reads twice a second.
    let idle = (0..8).map(async |number| {
        tokio::time::sleep(Duration::from_millis(70 * number)).await;
        let mut one = Raw::open(&harness).await;
        let begun = Instant::now();
        one.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(one.reply("").await.unwrap().status(), 200);
        one.closed().await;
        begun.elapsed()
    });
    for kept in futures_util::future::join_all(idle).await {
        assert!(kept >= KEPT, "{kept:?}");
    }
    harness.stop().await;
}

/// Method and path of all documented routes, with parameters that name nothing.
pub fn documented_routes() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(jobtracker_server::openapi_document()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path =
            path.replace("{delivery}", "7.1").replace("{commit}", "c").replace("{name}", "n");
        let path = path.replace("{id}", "7").replace("{number}", "1").replace("{key}", "k");
        assert!(!path.contains('{'), "{path}");
        for method in methods.as_object().unwrap().keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(routes.len() > 30);
    routes
}

/// The documented routes, and some that do not exist.
fn all_routes() -> Vec<(String, String)> {
    let mut routes = documented_routes();
    routes.push(("GET".to_owned(), "/nowhere".to_owned()));
    routes.push(("PATCH".to_owned(), "/api/v1/jobs".to_owned()));
    routes.push(("HEAD".to_owned(), "/healthz".to_owned()));
    routes
}

/// A body of this many bytes, with its header, in one of two forms.
fn body(bytes: usize, is_chunked: bool) -> String {
    let text = "x".repeat(bytes);
    if is_chunked {
        format!("transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{text}\r\n0\r\n\r\n")
    } else {
        format!("content-length: {bytes}\r\n\r\n{text}")
    }
}

#[tokio::test]
async fn a_body_that_is_not_wanted_does_not_hold_its_connection() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    for (method, path) in all_routes() {
        for (bytes, is_chunked) in [(10, true), (400_000, true), (400_000, false)] {
            // An existing job, so that no request is refused before the handler.
            harness.post("/api/v1/jobs", &json!({"id": 7, "name": "a"})).await;
            let key = harness.request(Method::PUT, "/api/v1/jobs/7/attachments/k");
            Reply::of(key.header("content-type", "text/plain").body("a")).await;
            let mut one = Raw::open(&harness).await;
            let body = body(bytes, is_chunked);
            let path =
                if path.ends_with("/wait") { format!("{path}?timeoutMs=0") } else { path.clone() };
            one.send(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{body}")).await;
            let what = format!("{method} {path} {bytes} {is_chunked}");
            let reply = one.reply(&method).await.unwrap_or_else(|| panic!("no answer: {what}"));
            if reply.header("connection") == Some("close") {
                assert!(bytes > 10, "{what}");
                // The service waits until this side has closed too.
                one.stream.shutdown().await.unwrap();
                one.closed().await;
                continue;
            }
            one.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
            let next = one.reply("").await.unwrap_or_else(|| panic!("closed: {what}"));
            assert_eq!(next.status(), 200, "{what}");
        }
    }
    harness.stop().await;
}

/// Short timeouts, and a client that sends nothing after `act`.
async fn let_go(act: impl AsyncFnOnce(&mut Raw)) {
    let_go_after(200, act).await;
}

/// Like `let_go`, with this timeout for a head.
async fn let_go_after(head_timeout_ms: u64, act: impl AsyncFnOnce(&mut Raw)) {
    let short = |config: &mut Config| {
        config.server.head_timeout_ms = head_timeout_ms;
        config.server.body_timeout_ms = 200;
        config.server.send_timeout_ms = 200;
        config.server.keep_alive_ms = 60_000;
    };
    let harness = Harness::start(STORES[0], short).await;
    let mut one = Raw::open(&harness).await;
    act(&mut one).await;
    one.closed().await;
    harness.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let_go(async |one| one.send("GET /hea").await).await;
    // The same for a later head. The timeout is also that of the first request, which must be
    // answered.
    let_go_after(2_000, async |one| {
        one.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(one.reply("").await.unwrap().status(), 200);
        one.send("GET /hea").await;
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let requests = ["DELETE /api/v1/jobs/7/attachments/k", "GET /healthz", "POST /api/v1/jobs"];
    let ways = ["content-length: 100", "transfer-encoding: chunked"];
    let all = requests.iter().flat_map(|request| ways.map(|way| (request, way)));
    let ends = all.map(|(request, way)| {
        let_go(async move |one| {
            let kind = "content-type: application/json";
            let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n{way}\r\n\r\n");
            one.send(head).await;
            let reply = one.reply("").await.unwrap();
            assert_eq!(reply.header("connection"), Some("close"), "{request} {way}");
        })
    });
    // At the same time, since the service waits a while for each.
    futures_util::future::join_all(ends).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_not_waited_for() {
    let_go(async |one| {
        // More than the buffers of the connection hold; it cannot be sent completely after the
        // service is gone.
        let request = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
        while one.stream.write_all(request.as_bytes()).await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn web_sites_are_kept_out_of_a_server_without_a_token() {
    let harness = Harness::start(STORES[0], |config| {
        config.server.hosts = vec!["jobs.example".to_owned()];
    })
    .await;
    harness.create(7, None).await;
    let log = async |headers: &[(&str, &str)]| {
        let mut request = harness.request(Method::POST, "/api/v1/jobs/7/log").body("a");
        for (name, value) in headers.iter().chain(&[("content-type", "text/plain")]) {
            request = request.header(*name, *value);
        }
        Reply::of(request).await
    };
    let own = harness.url().to_owned();
    for headers in [&[][..], &[("origin", &*own)], &[("host", "jobs.example")]] {
        assert_eq!(log(headers).await.status, 200, "{headers:?}");
    }
    for headers in [[("host", "evil.example"), ("origin", "http://evil.example")]] {
        log(&headers).await.assert_problem("unknown_host");
    }
    log(&[("origin", "http://evil.example")]).await.assert_problem("foreign_origin");
    log(&[("sec-fetch-site", "cross-site")]).await.assert_problem("foreign_origin");
    let page = harness.request(Method::GET, "/api/v1/roots").header("host", "evil.example:8840");
    Reply::of(page).await.assert_problem("unknown_host");
    for open in ["/healthz", "/readyz", "/openapi.json"] {
        let probe = harness.request(Method::GET, open).header("host", "10.1.2.3");
        assert_eq!(Reply::of(probe).await.status, 200);
    }
    assert_eq!(harness.get("/api/v1/jobs/7").await.json()["logLines"], 3);
    harness.stop().await;
}
