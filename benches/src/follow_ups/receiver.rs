//! A receiver that costs little: it reads requests as far as it must and takes everything.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

use crate::load::now_millis;

/// A request as it came.
pub struct Received {
    /// Milliseconds since 1970.
    pub time: f64,
    pub text: String,
}

/// Serves on a thread of its own until the program ends.
pub struct Receiver {
    pub addr: SocketAddr,
    requests: Mutex<mpsc::Receiver<Received>>,
}

impl Receiver {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (sender, requests) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            // It ends with the program; a failure shows in the requests that do not come.
            let _ = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let sender = Arc::new(sender);
                loop {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(serve(stream, Arc::clone(&sender)));
                }
                #[expect(unreachable_code, reason = "it says what the block answers")]
                anyhow::Ok(())
            });
        });
        Ok(Self { addr, requests: Mutex::new(requests) })
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Waits for this many requests.
    pub fn take(&self, count: u64) -> Result<Vec<Received>> {
        let requests = self.requests.lock().expect("no thread panics with it");
        let patience = Duration::from_secs(120);
        (0..count)
            .map(|_| requests.recv_timeout(patience).context("a request is missing"))
            .collect()
    }
}

async fn serve(mut stream: TcpStream, sender: Arc<mpsc::Sender<Received>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let text = std::str::from_utf8(&bytes[..head])?;
        let mut lines = text.lines().map(str::to_ascii_lowercase);
        let length =
            lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let whole = head + length.unwrap_or(0_usize);
        while bytes.len() < whole {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        let time = now_millis();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        let text = String::from_utf8_lossy(&bytes[head..whole]).into_owned();
        sender.send(Received { time, text })?;
        bytes.drain(..whole);
    }
}
