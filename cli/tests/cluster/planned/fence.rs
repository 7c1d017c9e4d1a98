//! What handlers write to: for each job a counter that takes the epoch of an attempt only if it is
//! larger than all before, and that knows which attempts go on at this instant. An attempt has a
//! connection, which ends with it, or with its process.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex},
};

use jobtracker_client::JobId;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What is known of all attempts.
#[derive(Debug, Default, Clone)]
pub struct Attempts {
    last: HashMap<JobId, u32>,
    live: HashMap<JobId, u32>,
    pub done: HashSet<(JobId, u32)>,
    pub begun: usize,
    /// What must not happen.
    pub wrong: Vec<String>,
}

impl Attempts {
    fn begin(&mut self, job: JobId, epoch: u32) {
        self.begun += 1;
        let last = self.last.insert(job, epoch).unwrap_or(0);
        if last >= epoch {
            self.wrong.push(format!("job {job}: epoch {epoch} after {last}"));
        }
        if let Some(live) = self.live.insert(job, epoch) {
            self.wrong.push(format!("job {job}: epoch {epoch} while {live} goes on"));
        }
    }

    fn end(&mut self, job: JobId, epoch: u32, is_done: bool) {
        if self.live.get(&job) == Some(&epoch) {
            self.live.remove(&job);
        }
        if is_done {
            self.done.insert((job, epoch));
        }
    }
}

pub struct Fence {
    pub address: String,
    pub attempts: Arc<Mutex<Attempts>>,
}

impl Fence {
    /// Serves until the runtime ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let attempts = Arc::<Mutex<Attempts>>::default();
        let all = Arc::clone(&attempts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(attend(BufReader::new(stream), Arc::clone(&all)));
            }
        });
        Self { address, attempts }
    }
}

/// Hears of one attempt. A connection that breaks is one of a process that was killed.
async fn attend(mut stream: BufReader<TcpStream>, attempts: Arc<Mutex<Attempts>>) {
    let Ok(begin) = line(&mut stream).await else { return };
    let Some((job, epoch)) = begin.split_once(' ') else { return };
    let (job, epoch) = (job.parse().unwrap(), epoch.parse().unwrap());
    attempts.lock().unwrap().begin(job, epoch);
    let is_done = match stream.write_all(b"begun\n").await {
        Ok(()) => line(&mut stream).await.is_ok_and(|said| said == "done"),
        Err(_) => false,
    };
    attempts.lock().unwrap().end(job, epoch, is_done);
    // Who was killed does not read it.
    let _ = stream.write_all(b"noted\n").await;
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

/// An attempt, as its handler has it.
pub struct Attempt(BufReader<TcpStream>);

impl Attempt {
    pub async fn begin(fence: &str, job: JobId, epoch: u32) -> io::Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(fence).await?);
        stream.write_all(format!("{job} {epoch}\n").as_bytes()).await?;
        line(&mut stream).await?;
        Ok(Self(stream))
    }

    /// Says that it is over, and waits until that is noted.
    pub async fn end(mut self, is_done: bool) -> io::Result<()> {
        let said: &[u8] = if is_done { b"done\n" } else { b"stopped\n" };
        self.0.write_all(said).await?;
        line(&mut self.0).await.map(drop)
    }
}
