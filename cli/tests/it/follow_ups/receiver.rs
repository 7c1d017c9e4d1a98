use std::{collections::HashMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How long a due delivery may take.
pub const LONG: Duration = Duration::from_secs(60);

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub text: String,
}

/// The receiver's answer to a request, by the number of earlier requests under that id.
pub type Answer = fn(&Received, usize) -> Reaction;

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Reaction {
    /// Answers with this status.
    Status(u16),
    /// Asks for a pause of this many seconds.
    Later(u16, u64),
    /// Closes the connection without an answer.
    Drop,
    /// Sends nothing for a while.
    Stall(Duration),
}

/// A receiver of deliveries on a port of its own.
pub struct Receiver {
    pub address: SocketAddr,
    received: watch::Sender<Vec<Received>>,
    work: JoinHandle<()>,
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Receiver {
    /// A receiver that accepts every request.
    pub async fn start() -> Self {
        Self::answering(|_, _| Reaction::Status(204)).await
    }

    pub async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, _) = watch::channel(Vec::new());
        let all = received.clone();
        let work = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, all.clone(), answer));
            }
        });
        Self { address, received, work }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until the condition is true for the requests so far. Fails when no more requests come.
    pub async fn until(&self, is_so: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut received = self.received.subscribe();
        loop {
            {
                let all = received.borrow_and_update();
                if is_so(&all) {
                    return all.clone();
                }
            }
            if tokio::time::timeout(LONG, received.changed()).await.is_err() {
                let all = self.all();
                let last = &all[all.len().saturating_sub(20)..];
                panic!("{} came, and then none for {LONG:?}; the last: {last:#?}", all.len());
            }
        }
    }

    /// Waits until this many requests have come.
    pub async fn count(&self, count: usize) -> Vec<Received> {
        self.until(|all| all.len() >= count).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn serve(stream: TcpStream, all: watch::Sender<Vec<Received>>, answer: Answer) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let mut reaction = Reaction::Drop;
        all.send_modify(|all| {
            let before = all.iter().filter(|other| other.id() == request.id()).count();
            reaction = answer(&request, before);
            all.push(request);
        });
        let (status, more) = match reaction {
            Reaction::Status(status) => (status, String::new()),
            Reaction::Later(status, seconds) => (status, format!("retry-after: {seconds}\r\n")),
            Reaction::Drop => return,
            Reaction::Stall(time) => {
                tokio::time::sleep(time).await;
                return;
            }
        };
        let head = format!("HTTP/1.1 {status} said\r\n{more}content-length: 4\r\n\r\n");
        let text = match status {
            204 => "HTTP/1.1 204 said\r\n\r\n".to_owned(),
            _ => head + "said",
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, text: String::from_utf8(body).ok()? })
}
