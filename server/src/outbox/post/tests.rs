use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use jobtracker_model::Secret;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{Config, clock};

mod receivers;
mod ways;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver that gives the same answer to every request, and the requests that it got.
struct Receiver {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Answers each request with this and closes the connection.
    async fn answering(answer: impl Into<String>) -> Self {
        let answer: String = answer.into();
        let answer: Arc<str> = answer.into();
        Self::doing(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                // The client may close the connection before it has read all, which is fine.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Reads each request, and calls `answer` with its connection.
    async fn doing<F, D>(answer: F) -> Self
    where
        F: Fn(TcpStream) -> D + Send + Sync + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                ears.lock().push(request);
                tokio::spawn(answer(stream));
            }
        });
        Self { addr, heard }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return text;
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if count == 0 || body.len() >= length {
            return text;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

/// A resolver with fixed answers: the first, then the second, and the last for ever.
struct Names {
    answers: Vec<Vec<SocketAddr>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[SocketAddr]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        assert!(host.ends_with(".test"), "{host}");
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[turn.min(self.answers.len() - 1)].clone())
    }
}

fn config() -> CallbacksConfig {
    CallbacksConfig { timeout_ms: 5_000, ..Config::defaults().callbacks }
}

fn poster_with(config: &CallbacksConfig, own: &[SocketAddr], names: &Arc<Names>) -> Poster {
    let guard = Guard::new(config.rules().unwrap(), own.to_vec());
    Poster::with_resolver(config, guard, Arc::<Names>::clone(names)).unwrap()
}

fn poster() -> Poster {
    poster_with(&config(), &[], &Names::new(&[&[]]))
}

async fn post(poster: &Poster, action: &HttpAction) -> Outcome {
    assert_eq!(action.check("http"), Ok(()));
    let outcome = poster.post("dlv_1", action, b"{\"a\":1}".to_vec(), clock::now()).await;
    assert!(!format!("{outcome:?}").contains("geheim"), "{outcome:?}");
    outcome
}
