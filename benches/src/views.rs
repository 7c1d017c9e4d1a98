//! Live views and the reads of a page: what watching costs, and what pages of large lists cost.

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use crate::{
    load::{self, Until, get, post},
    process::Server,
    shapes::{CONNECTIONS, LIFE, Target},
    table::{self, Series},
};

/// Viewers of one root.
const VIEWERS: usize = 100;
/// Subscribers that are told nothing.
const IDLE: usize = 2_000;
/// Jobs of the tree that is watched.
const TREE: u64 = 20_000;
/// Changes of which the time to the frame is measured.
const CHANGES: usize = 500;
/// Roots in a small list.
const FEW_ROOTS: u64 = 1_000;

/// How large the lists are.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Children of one parent.
    pub children: u64,
    /// Roots of the large list.
    pub roots: u64,
}

pub fn run(rounds: usize, sizes: Sizes, time: Duration) -> Result<()> {
    let live = Live::measure(rounds, time)?;
    let pages = Pages::measure(rounds, sizes, time)?;
    println!("\nLive views, and pages of large lists:\n");
    table::head();
    live.show();
    pages.show(sizes);
    Ok(())
}

struct Live {
    unwatched: Series,
    watched: Series,
    /// Cores that the viewers take of the service, at one writer.
    cores: Vec<f64>,
    latency: Duration,
    idle_kib: f64,
}

impl Live {
    fn measure(rounds: usize, time: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        let target = Target::new(service.addr, 1);
        let (mut unwatched, mut watched) = (Series::default(), Series::default());
        let mut cores = Vec::new();
        // A tree of its own for each, since a change is applied once.
        let update = |root: u64, first: u64, connections| {
            let viewers = (root > 0).then(|| Viewers::watch(service.addr, VIEWERS, root));
            let viewers = viewers.transpose()?;
            let before = service.processor_time()?;
            let order = |number| first + number;
            let done = target.update(TREE, &order, &LIFE, connections, Until::Elapsed(time))?;
            let took = service.processor_time()? - before;
            viewers.map(Viewers::end).transpose()?;
            Ok::<_, anyhow::Error>((done, took.as_secs_f64() / done.seconds))
        };
        for _ in 0..rounds {
            let trees: Vec<_> = (0..4).map(|_| target.create_tree(TREE)).collect::<Result<_>>()?;
            unwatched.push(update(0, trees[0].1, CONNECTIONS)?.0);
            watched.push(update(trees[1].0, trees[1].1, CONNECTIONS)?.0);
            let (_, alone) = update(0, trees[2].1, 1)?;
            let (_, beside) = update(trees[3].0, trees[3].1, 1)?;
            cores.push(beside - alone);
        }
        let (root, job) = target.create_tree(1)?;
        let latency = frame_latency(service.addr, root, job)?;
        let before = service.memory()?.resident_mb;
        let viewers = Viewers::watch(service.addr, IDLE, root)?;
        let idle_kib = (service.memory()?.resident_mb - before) * 1024.0 / IDLE as f64;
        viewers.end()?;
        Ok(Self { unwatched, watched, cores, latency, idle_kib })
    }

    fn show(&self) {
        table::row("update, no viewers", &self.unwatched, None, "");
        let ratio = self.watched.ratio_to(&self.unwatched);
        let what = format!("update, {VIEWERS} viewers of the root");
        table::row(&what, &self.watched, Some(ratio), "≥ 0.95 × unwatched");
        let cores = table::median(self.cores.iter().copied());
        let what = format!("processor time of {VIEWERS} viewers, one writer");
        table::line(&what, &format!("{cores:.2} cores"), "≤ 0.15 cores");
        let latency = format!("{:.2?}", self.latency);
        table::line("from the answer to a change to its frame, p99", &latency, "");
        let what = format!("memory of each of {IDLE} idle subscribers");
        table::line(&what, &format!("{:.0} KiB", self.idle_kib), "≤ 64 KiB");
    }
}

struct Pages {
    first: Series,
    far: Series,
    few_roots: Series,
    many_roots: Series,
}

impl Pages {
    fn measure(rounds: usize, sizes: Sizes, time: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        let target = Target::new(service.addr, 1);
        let page = |path: &str| {
            load::run(service.addr, 1, Until::Elapsed(time), &|out, _| {
                get(out, format_args!("{path}"));
            })
        };
        let roots = "/api/v1/roots?limit=100&fields=row";
        let (mut few_roots, mut many_roots) = (Series::default(), Series::default());
        target.create_roots(CONNECTIONS, Until::Requests(FEW_ROOTS))?;
        for _ in 0..rounds {
            few_roots.push(page(roots)?);
        }
        let more = sizes.roots.saturating_sub(FEW_ROOTS);
        target.create_roots(CONNECTIONS, Until::Requests(more))?;
        for _ in 0..rounds {
            many_roots.push(page(roots)?);
        }
        let (parent, _) = target.create_tree(sizes.children)?;
        let children = |offset: u64| {
            format!("/api/v1/jobs/{parent}/children?limit=100&fields=row&offset={offset}")
        };
        let far_offset = sizes.children / 10 * 9;
        // The first request counts the children.
        load::fetch(service.addr, &children(far_offset))?;
        let (mut first, mut far) = (Series::default(), Series::default());
        for _ in 0..rounds {
            first.push(page(&children(0))?);
            far.push(page(&children(far_offset))?);
        }
        Ok(Self { first, far, few_roots, many_roots })
    }

    fn show(&self, Sizes { children, roots }: Sizes) {
        table::row(&format!("first page of {FEW_ROOTS} roots"), &self.few_roots, None, "");
        let ratio = self.many_roots.ratio_to(&self.few_roots);
        let what = format!("first page of {roots} roots");
        table::row(&what, &self.many_roots, Some(ratio), "the same");
        let what = format!("children at offset 0 of {children}");
        table::row(&what, &self.first, None, "");
        let what = format!("children at offset {} (cost ratio)", children / 10 * 9);
        let ratio = self.first.rate() / self.far.rate();
        table::row(&what, &self.far, Some(ratio), "≤ 3 × the cost");
    }
}

/// Connections that are told of a root and read what they are told, on a thread of their own.
struct Viewers {
    over: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl Viewers {
    /// Answers when all of them have been told the row of the root.
    fn watch(addr: SocketAddr, count: usize, root: u64) -> Result<Self> {
        let (over, ended) = oneshot::channel();
        let (ready, are_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let path = format!("/api/v1/events?topic=tree/{root}&kinds=");
                let streams = (0..count).map(|_| Stream::open(addr, &path, b"\"t\":\"snap\""));
                let mut streams = try_join_all(streams).await?;
                ready.send(()).context("the benchmark waits")?;
                let read = streams.iter_mut().map(Stream::read_on);
                tokio::select! {
                    read = try_join_all(read) => drop(read?),
                    // An error means that the benchmark has failed.
                    _ = ended => {}
                }
                Ok(())
            })
        });
        are_ready.recv().context("the viewers could not begin")?;
        Ok(Self { over, thread })
    }

    fn end(self) -> Result<()> {
        // It fails when the thread has ended, and that says why.
        let _ = self.over.send(());
        self.thread.join().map_err(|_| anyhow::anyhow!("the viewers have panicked"))?
    }
}

/// A stream of server-sent events.
struct Stream {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Stream {
    /// Answers when a text has come.
    async fn open(addr: SocketAddr, path: &str, text: &[u8]) -> Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut out = Vec::new();
        get(&mut out, format_args!("{path}"));
        stream.write_all(&out).await?;
        let mut this = Self { stream, came: Vec::new() };
        this.until(text).await?;
        Ok(this)
    }

    /// Reads until a text has come, and forgets what came up to then.
    async fn until(&mut self, text: &[u8]) -> Result<()> {
        while memmem::find(&self.came, text).is_none() {
            let read = self.stream.read_buf(&mut self.came).await?;
            anyhow::ensure!(read > 0, "the service has ended a stream of events");
        }
        self.came.clear();
        Ok(())
    }

    async fn read_on(&mut self) -> Result<()> {
        loop {
            self.came.clear();
            let read = self.stream.read_buf(&mut self.came).await?;
            anyhow::ensure!(read > 0, "the service has ended a stream of events");
        }
    }
}

/// The 99th percentile of the time from the answer to a change to the frame that tells of it.
fn frame_latency(addr: SocketAddr, root: u64, job: u64) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = format!("/api/v1/events?topic=tree/{root}&kinds=changed");
        let mut events = Stream::open(addr, &path, b"\"t\":\"mark\"").await?;
        let mut writer = TcpStream::connect(addr).await?;
        writer.set_nodelay(true)?;
        let mut latencies = Vec::new();
        for number in 0..CHANGES {
            let mut out = Vec::new();
            post(
                &mut out,
                format_args!("/api/v1/jobs/{job}/changes"),
                format_args!("{{\"state\":\"Running\",\"changeId\":\"change-{number}-\"}}"),
            );
            writer.write_all(&out).await?;
            let answered = async {
                // An empty one would take 64 bytes, and leave the rest to the next reply.
                let mut reply = Vec::with_capacity(4096);
                anyhow::ensure!(writer.read_buf(&mut reply).await? > 0, "no answer");
                anyhow::ensure!(reply.starts_with(b"HTTP/1.1 200"), "a change is refused");
                Ok(Instant::now())
            };
            let text = format!("\"change-{number}-\"");
            let told = async {
                events.until(text.as_bytes()).await?;
                Ok(Instant::now())
            };
            let (answered, told) = tokio::try_join!(answered, told)?;
            // The frame may come before the answer.
            latencies.push(told.saturating_duration_since(answered));
        }
        latencies.sort_unstable();
        Ok(latencies[CHANGES * 99 / 100])
    })
}
