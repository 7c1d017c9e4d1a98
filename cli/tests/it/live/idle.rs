//! Very many connections that are told nothing.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use jobtracker_client::{JobId, NewChange, NewJob, State};

use super::reader::GUARD;
use crate::process::{ANY_PORT, Process, embedded};

/// As many as the service takes by default.
const VIEWERS: usize = 2_000;

/// A connection for the row of a tree.
struct Viewer {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Viewer {
    async fn open(service: &Process) -> Self {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let head = "GET /api/v1/events?topic=tree/1&kinds= HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut viewer = Self { stream, came: Vec::new() };
        viewer.until("\"t\":\"snap\"").await;
        viewer
    }

    /// Reads until a text has come.
    async fn until(&mut self, text: &str) {
        while !self.came.windows(text.len()).any(|part| part == text.as_bytes()) {
            let read = timeout(GUARD, self.stream.read_buf(&mut self.came)).await.unwrap();
            assert!(read.unwrap() > 0, "{}", String::from_utf8_lossy(&self.came));
        }
        self.came.clear();
    }
}

fn descriptors(service: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap().count()
}

/// What the process has in memory.
fn resident_kib(service: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn two_thousand_idle_viewers_cost_a_descriptor_and_little_memory_each() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let data = tempfile::tempdir().unwrap();
    let service = Process::start(ANY_PORT, &embedded(data.path()));
    let client = service.client();
    client.create(NewJob::new("root").id(JobId::MIN)).await.unwrap();
    // One, so that what all of them share is there.
    let mut viewers = vec![Viewer::open(&service).await];
    let (before, memory) = (descriptors(&service), resident_kib(&service));
    for _ in 1..VIEWERS {
        viewers.push(Viewer::open(&service).await);
    }
    let more = VIEWERS - 1;
    let taken = descriptors(&service) - before;
    assert!((more..more + 50).contains(&taken), "{taken} descriptors");
    let each = (resident_kib(&service).saturating_sub(memory)) as f64 / more as f64;
    println!("{each:.1} KiB of memory for each of {more} viewers");
    assert!(each < 512.0, "{each} KiB");
    // Each of them is told of a change.
    client.update(JobId::MIN, NewChange::new(State::Running)).await.unwrap();
    for viewer in &mut viewers {
        viewer.until("Running").await;
    }
    drop(viewers);
    while descriptors(&service) > before {
        tokio::task::yield_now().await;
    }
    client.update(JobId::MIN, NewChange::new(State::RanToCompletion)).await.unwrap();
}
