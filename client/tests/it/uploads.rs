//! Uploads over connections that break, and to services that do not wait for the end.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::{JobId, Problem, ProblemCode, RetryPolicy, UploadOutcome, UploadSource};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::stub;

/// This many chunks of noise, which does not shrink when it is compressed.
struct Noise(u64);

impl UploadSource for Noise {
    fn open(&self, _: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>> {
        let chunk = |seed: u64| {
            let mut word = seed.wrapping_mul(2).wrapping_add(1);
            let mut bytes = Vec::with_capacity(64 * 1024);
            for _ in 0..8 * 1024 {
                word ^= word << 13;
                word ^= word >> 7;
                word ^= word << 17;
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes
        };
        stream::iter(0..self.0).map(chunk).map(Ok).boxed()
    }
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn answer(status: &str, kind: &str, body: &impl serde::Serialize) -> Vec<u8> {
    let body = serde_json::to_string(body).unwrap();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}");
    format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Reads a request up to these bytes, or up to `most` bytes.
async fn read_until(socket: &mut TcpStream, end: &[u8], most: usize) -> Vec<u8> {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while seen.len() < most && !seen.ends_with(end) {
        let count = socket.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the request broke off");
        seen.extend_from_slice(&buffer[..count]);
    }
    seen
}

#[tokio::test]
async fn a_stream_that_is_cut_is_sent_again() {
    let (listener, address) = listening().await;
    let id = "c".parse().unwrap();
    let outcome = UploadOutcome { complete: true, ..UploadOutcome::new("c".parse().unwrap()) };
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_until(&mut socket, b"never", 100_000).await;
        drop(socket);
        let (mut socket, _) = listener.accept().await.unwrap();
        let asked = read_until(&mut socket, b"\r\n\r\n", usize::MAX).await;
        assert!(asked.starts_with(b"GET /api/v1/commits/c HTTP"));
        let unknown = Problem::new(ProblemCode::CommitNotFound, "");
        let answered = answer("404 Not Found", "application/problem+json", &unknown);
        socket.write_all(&answered).await.unwrap();
        drop(socket);
        let (mut socket, _) = listener.accept().await.unwrap();
        let sent = read_until(&mut socket, b"\r\n0\r\n\r\n", usize::MAX).await;
        socket.write_all(&answer("200 OK", "application/json", &outcome)).await.unwrap();
        sent.len()
    };
    let client = stub::builder(&format!("http://{address}")).build().unwrap();
    let sent = client.upload(&id, Arc::new(Noise(10)));
    let (length, answered) = tokio::join!(server, sent);
    assert!(length > 10 * 64 * 1024);
    assert_eq!(answered.unwrap(), outcome);
}

/// Noise that cannot go on at first, like a file that cannot be read for a while.
struct Stuttering(AtomicBool);

impl UploadSource for Stuttering {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>> {
        let whole = Noise(4).open(applied);
        if self.0.swap(true, SeqCst) {
            return whole;
        }
        whole.take(3).chain(stream::once(async { Err(io::Error::other("on purpose")) })).boxed()
    }
}

/// A body that the sender itself cuts off has no end that a server could accept, and is sent again.
#[tokio::test]
async fn a_source_that_cannot_go_on_is_asked_again() {
    for compress in [true, false] {
        let (listener, address) = listening().await;
        let id = "c".parse().unwrap();
        let outcome = UploadOutcome { complete: true, ..UploadOutcome::new("c".parse().unwrap()) };
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut cut, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
            loop {
                match socket.read(&mut buffer).await.unwrap() {
                    0 => break,
                    count => cut.extend_from_slice(&buffer[..count]),
                }
                assert!(!cut.ends_with(b"\r\n0\r\n\r\n"), "it came to an end");
            }
            let (mut socket, _) = listener.accept().await.unwrap();
            let asked = read_until(&mut socket, b"\r\n\r\n", usize::MAX).await;
            assert!(asked.starts_with(b"GET /api/v1/commits/c HTTP"));
            let unknown = Problem::new(ProblemCode::CommitNotFound, "");
            let answered = answer("404 Not Found", "application/problem+json", &unknown);
            socket.write_all(&answered).await.unwrap();
            drop(socket);
            let (mut socket, _) = listener.accept().await.unwrap();
            read_until(&mut socket, b"\r\n0\r\n\r\n", usize::MAX).await;
            socket.write_all(&answer("200 OK", "application/json", &outcome)).await.unwrap();
        };
        let url = format!("http://{address}");
        let client = stub::builder(&url).compress_requests(compress).build().unwrap();
        let sent = client.upload(&id, Arc::new(Stuttering(AtomicBool::new(false))));
        let ((), answered) = tokio::join!(server, sent);
        assert_eq!(answered.unwrap(), outcome);
    }
}

/// Answers each request, when all of it has come; an upload is turned away. Says how many uploads
/// have come.
async fn turning_away(listener: TcpListener, came: Arc<AtomicU64>) {
    let mut overloaded = Problem::new(ProblemCode::Overloaded, "It is too much.");
    overloaded.retry_after_ms = Some(1);
    let unknown = Problem::new(ProblemCode::CommitNotFound, "");
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut begin, mut end, mut buffer) = (None, [0; 5], vec![0; 256 * 1024]);
        while end != *b"0\r\n\r\n" && begin != Some(b'G') {
            let count = socket.read(&mut buffer).await.unwrap();
            begin = begin.or(buffer[..count].first().copied());
            if count >= end.len() {
                end.copy_from_slice(&buffer[count - 5..count]);
            }
        }
        let (status, problem) = match begin {
            Some(b'P') if came.fetch_add(1, SeqCst) < 10 => ("429 Too Many Requests", &overloaded),
            // Otherwise a client that does not give up would not come to an end.
            Some(b'P') => ("400 Bad Request", &unknown),
            _ => ("404 Not Found", &unknown),
        };
        socket.write_all(&answer(status, "application/problem+json", problem)).await.unwrap();
    }
}

/// A service that turns an upload away when all of it has come does not get it until the time is
/// over; that time is long, since the uploads themselves are not counted.
#[tokio::test]
async fn what_is_turned_away_is_not_sent_for_ever() {
    let (listener, address) = listening().await;
    let came = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn(turning_away(listener, Arc::clone(&came)));
    let client = stub::builder(&format!("http://{address}")).compress_requests(false);
    let client = client.retry(stub::stubborn()).deadline(Duration::from_secs(3600));
    let client = client.build().unwrap();
    // A quarter of the bytes that may be sent in vain.
    let chunks = 16 * 1024 / 64;
    let error = client.upload(&"c".parse().unwrap(), Arc::new(Noise(chunks))).await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Overloaded));
    assert!(error.is_retryable() && !error.outcome_unknown());
    assert_eq!(came.load(SeqCst), 4);
    server.abort();
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_stream_counts() {
    let (listener, address) = listening().await;
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_until(&mut socket, b"never", 100_000).await;
        let problem = Problem::new(ProblemCode::InvalidCommit, "Record 3 is missing.");
        let answered = answer("400 Bad Request", "application/problem+json", &problem);
        socket.write_all(&answered).await.unwrap();
        socket
    };
    let client =
        stub::builder(&format!("http://{address}")).retry(RetryPolicy::never()).build().unwrap();
    let id = "c".parse().unwrap();
    let sent = client.upload(&id, Arc::new(Noise(u64::MAX)));
    let (_socket, answered) = tokio::join!(server, sent);
    assert_eq!(answered.unwrap_err().code(), Some(ProblemCode::InvalidCommit));
}
