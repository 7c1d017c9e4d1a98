//! Readers of live views: of server-sent events, and of a WebSocket.

use std::{collections::BTreeMap, time::Duration};

use actix_http::ws::{Codec, Frame, Message};
use jobtracker_model::live::ServerFrame;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, Encoder},
};

use crate::harness::Harness;

/// A frame that does not come within this time will not come.
pub const GUARD: Duration = Duration::from_secs(30);

/// The JSON of a frame, which is one of those that the client knows.
fn read(text: &[u8]) -> Value {
    let frame: Value = serde_json::from_slice(text).unwrap();
    let known: ServerFrame = serde_json::from_slice(text).unwrap();
    assert_eq!(serde_json::to_value(known).unwrap(), frame);
    frame
}

/// A stream of server-sent events.
pub struct Events {
    response: Response,
    came: String,
    /// The last id.
    pub id: Option<String>,
}

impl Events {
    pub async fn open(harness: &Harness, query: &str, last: Option<&str>) -> Self {
        Self::try_open(harness.url(), query, last).await.unwrap()
    }

    /// The same at an address where there may be no service.
    pub async fn try_open(url: &str, query: &str, last: Option<&str>) -> reqwest::Result<Self> {
        let mut request = reqwest::Client::new().get(format!("{url}/api/v1/events?{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let mut events = Self { response, came: String::new(), id: last.map(str::to_owned) };
        assert_eq!(events.next().await.unwrap()["t"], "hello");
        Ok(events)
    }

    /// The next frame; none at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.came.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = field("id: ") {
                    self.id = Some(id.to_owned());
                }
                let frame = read(field("data: ").unwrap().as_bytes());
                self.came = rest.to_owned();
                return Some(frame);
            }
            let chunk = timeout(GUARD, self.response.chunk()).await.unwrap();
            self.came.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The next frame of this kind.
    pub async fn of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap();
            if frame["t"] == kind {
                return frame;
            }
        }
    }
}

/// A WebSocket.
pub struct Socket {
    stream: TcpStream,
    codec: Codec,
    came: BytesMut,
}

impl Socket {
    /// Asks for an upgrade, with more lines of the head, and answers the head that comes back.
    pub async fn ask(harness: &Harness, more: &str) -> (Self, String) {
        Self::ask_at(harness, "live", more).await
    }

    /// The same at another address of the API.
    pub async fn ask_at(harness: &Harness, path: &str, more: &str) -> (Self, String) {
        let address = harness.url().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /api/v1/{path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(GUARD, stream.read_u8()).await.unwrap().unwrap());
        }
        let codec = Codec::new().max_size(8 << 20).client_mode();
        let answer = String::from_utf8(answer).unwrap();
        (Self { stream, codec, came: BytesMut::new() }, answer)
    }

    pub async fn open(harness: &Harness) -> Self {
        let (mut socket, answer) = Self::ask(harness, "").await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert_eq!(socket.next().await.unwrap()["t"], "hello");
        socket
    }

    pub async fn say(&mut self, frame: &Value) {
        self.send(Message::Text(frame.to_string().into())).await;
    }

    pub async fn send(&mut self, message: Message) {
        let mut bytes = BytesMut::new();
        self.codec.encode(message, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub async fn sub(&mut self, sub: u32, topic: &str) {
        self.say(&json!({"t": "sub", "sub": sub, "topic": topic})).await;
    }

    /// The next message; none when the connection has ended.
    pub async fn message(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.came).unwrap() {
                return Some(frame);
            }
            let read = timeout(GUARD, self.stream.read_buf(&mut self.came)).await.unwrap();
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next frame; none when the service closes.
    pub async fn next(&mut self) -> Option<Value> {
        match self.message().await? {
            Frame::Text(text) => Some(read(&text)),
            Frame::Close(_) => None,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame of this kind.
    pub async fn of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap();
            if frame["t"] == kind {
                return frame;
            }
        }
    }
}

/// Rows as a client keeps them that takes up one snapshot after the other.
#[derive(Debug, Default)]
pub struct Rows {
    pub version: u64,
    pub rows: BTreeMap<u64, Value>,
}

impl Rows {
    pub fn take(&mut self, snap: &Value) {
        let version = snap["version"].as_u64().unwrap();
        assert!(version >= self.version, "{version} comes after {}", self.version);
        match snap["from"].as_u64() {
            Some(from) => assert_eq!(from, self.version, "a change of another snapshot"),
            None => self.rows.clear(),
        }
        self.version = version;
        for row in snap["rows"].as_array().unwrap() {
            let id = row["id"].as_u64().unwrap();
            let known = self.rows.remove(&id);
            let mut row = row.clone();
            if row["definition"].is_null() {
                row["definition"] =
                    known.expect("a row without its definition is known")["definition"].take();
            }
            self.rows.insert(id, row);
        }
    }
}
