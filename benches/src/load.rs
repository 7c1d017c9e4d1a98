//! A load generator that costs little itself: keep-alive connections on one thread, requests made
//! of bytes, replies read as far as their status and length.

use std::{
    cell::Cell,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a run measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub requests: u64,
    pub seconds: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Measured {
    fn of(mut latencies: Vec<Duration>, seconds: f64) -> Result<Self> {
        latencies.sort_unstable();
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        if latencies.is_empty() {
            bail!("no request was answered");
        }
        let requests = latencies.len() as u64;
        Ok(Self { requests, seconds, p50: at(0.50), p99: at(0.99) })
    }

    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Two runs at the same time as one, with the latencies of the slower.
    pub fn beside(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            seconds: self.seconds.max(other.seconds),
            p50: self.p50.max(other.p50),
            p99: self.p99.max(other.p99),
        }
    }
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Until<'a> {
    /// After this time.
    Elapsed(Duration),
    /// After this many requests in all.
    Requests(u64),
    /// When another task sets this.
    Told(&'a AtomicBool),
}

/// The numbers of the requests of a run, which its clients take.
pub struct Numbers<'a> {
    until: Until<'a>,
    begun: Instant,
    next: Cell<u64>,
}

impl<'a> Numbers<'a> {
    /// The run begins now.
    pub fn new(until: Until<'a>) -> Self {
        Self { until, begun: Instant::now(), next: Cell::new(0) }
    }

    /// The next one; none when the run is over.
    fn take(&self) -> Option<u64> {
        let more = match self.until {
            Until::Elapsed(time) => self.begun.elapsed() < time,
            Until::Requests(count) => self.next.get() < count,
            Until::Told(over) => !over.load(Ordering::SeqCst),
        };
        more.then(|| self.next.replace(self.next.get() + 1))
    }

    /// Makes calls one after another until the run is over; answers how long each took.
    pub async fn call(
        &self,
        mut call: impl AsyncFnMut(u64) -> Result<()>,
    ) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        while let Some(number) = self.take() {
            let begun = Instant::now();
            call(number).await?;
            latencies.push(begun.elapsed());
        }
        Ok(latencies)
    }

    /// Runs clients side by side, until all are done.
    pub async fn run<F: Future<Output = Result<Vec<Duration>>>>(
        &self,
        clients: impl Iterator<Item = F>,
    ) -> Result<Measured> {
        // Each one is polled only when it has something to do.
        let mut clients: FuturesUnordered<F> = clients.collect();
        let mut latencies = Vec::new();
        while let Some(client) = clients.next().await {
            latencies.extend(client?);
        }
        Measured::of(latencies, self.begun.elapsed().as_secs_f64())
    }
}

/// Writes the request with this number into the buffer, for the connection with this number.
pub type Requests<'a> = dyn Fn(&mut Vec<u8>, u64) + 'a;

/// Sends requests over `connections` at once, each waiting for its reply. Every reply has to be a
/// success.
pub fn run(
    addr: SocketAddr,
    connections: usize,
    until: Until<'_>,
    request: &Requests,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let numbers = Numbers::new(until);
        numbers.run((0..connections).map(|_| client(addr, &numbers, request, None))).await
    })
}

/// Sends requests over one connection, each this long after the one before, or later where replies
/// take longer.
pub fn run_paced(
    addr: SocketAddr,
    every: Duration,
    until: Until<'_>,
    request: &Requests,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let numbers = Numbers::new(until);
        numbers.run(std::iter::once(client(addr, &numbers, request, Some(every)))).await
    })
}

async fn client(
    addr: SocketAddr,
    numbers: &Numbers<'_>,
    request: &Requests<'_>,
    every: Option<Duration>,
) -> Result<Vec<Duration>> {
    let mut pace = every.map(tokio::time::interval);
    let mut connection = Connection::open(addr).await?;
    let call = async |number| {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        connection.call(|out| request(out, number)).await.map(drop)
    };
    numbers.call(call).await
}

/// A connection for one request at a time.
pub struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, out: Vec::new(), reply: Vec::new() })
    }

    /// Sends a request without waiting for the reply.
    pub async fn send(&mut self, request: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.out.clear();
        request(&mut self.out);
        Ok(self.stream.write_all(&self.out).await?)
    }

    /// Makes a WebSocket of it.
    pub async fn upgrade(&mut self, path: &str) -> Result<()> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.send(|out| out.extend_from_slice(head.as_bytes())).await?;
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\n") {
            reply.push(self.stream.read_u8().await?);
        }
        anyhow::ensure!(reply.starts_with(b"HTTP/1.1 101 "), "a WebSocket is refused");
        Ok(())
    }

    /// Sends a message of less than 64 KiB over a WebSocket, under a mask of zeros.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        let length = u16::try_from(text.len())?;
        self.send(|out| {
            out.extend_from_slice(&[0x81, 0x80 | 126]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(text.as_bytes());
        })
        .await
    }

    /// Sends a request; answers the body of the reply, which has to be a success.
    pub async fn call(&mut self, request: impl FnOnce(&mut Vec<u8>)) -> Result<&[u8]> {
        self.send(request).await?;
        let body = read_reply(&mut self.stream, &mut self.reply).await?;
        Ok(&self.reply[body..])
    }
}

/// Reads one reply whole; answers where its body begins.
async fn read_reply(stream: &mut TcpStream, reply: &mut Vec<u8>) -> Result<usize> {
    reply.clear();
    let head = loop {
        if stream.read_buf(reply).await? == 0 {
            bail!("the connection was closed");
        }
        if let Some(end) = memchr::memmem::find(reply, b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&reply[..head]).context("a head is text")?;
    let success = text.starts_with("HTTP/1.1 2");
    let length = text.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    let whole = head + length.unwrap_or(0_usize);
    while reply.len() < whole {
        if stream.read_buf(reply).await? == 0 {
            bail!("the connection was closed in the middle of a reply");
        }
    }
    if !success {
        bail!("refused: {}", String::from_utf8_lossy(reply));
    }
    Ok(head)
}

/// The body of one GET.
pub fn fetch(addr: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(addr).await?;
        Ok(connection.call(|out| get(out, format_args!("{path}"))).await?.to_vec())
    })
}

/// A POST of JSON.
pub fn post(out: &mut Vec<u8>, path: std::fmt::Arguments, body: std::fmt::Arguments) {
    use std::io::Write;
    // The length has to be known before the body is written.
    let body = body.to_string();
    let length = body.len();
    write!(
        out,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .expect("a buffer takes everything");
}

/// A GET.
pub fn get(out: &mut Vec<u8>, path: std::fmt::Arguments) {
    use std::io::Write;
    write!(out, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("a buffer takes everything");
}

/// Milliseconds since 1970: what the service calls time too.
#[expect(clippy::disallowed_methods, reason = "it is compared with times of another process")]
pub fn now_millis() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}
