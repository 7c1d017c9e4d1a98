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
    load::{self, Measured, Until, get, post},
    process::Server,
    shapes::{CONNECTIONS, LIFE, Target},
    table::{self, Series},
};

/// Viewers of one root, and of the same rows.
const VIEWERS: usize = 100;
/// Rows that they show, and the time from one change of them to the next: all of them have changed
/// at each tick.
const ROWS: u64 = 60;
const BETWEEN: Duration = Duration::from_millis(4);
/// Subscribers that are told nothing.
const IDLE: usize = 2_000;
/// Jobs of the tree that is watched. No round comes to the end of the lives of this many, behind
/// which updates change nothing and cost less.
const TREE: u64 = 100_000;
/// Changes of which the time to their event is measured, and to the row.
const EVENTS: usize = 500;
const SNAPSHOTS: usize = 60;
/// The time from one snapshot to the next.
const TICK: Duration = Duration::from_millis(250);
/// Roots in a small list.
const FEW_ROOTS: u64 = 1_000;

/// How large the lists are; 0 leaves one out.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Children of one parent.
    pub children: u64,
    /// Roots of the large list.
    pub roots: u64,
}

pub fn run(rounds: usize, sizes: Sizes, time: Duration) -> Result<()> {
    println!("\nLive views, and pages of large lists:\n");
    table::head();
    Live::measure(rounds, time)?.show();
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let target = Target::new(service.addr, 1);
    if sizes.roots > 0 {
        Roots::measure(&target, rounds, sizes.roots, time)?.show(sizes.roots);
    }
    if sizes.children > 0 {
        Children::measure(&target, rounds, sizes.children, time)?.show(sizes.children);
    }
    Ok(())
}

struct Live {
    unwatched: Series,
    watched: Series,
    /// What the service takes of the processors for a change, with viewers and without, as a ratio.
    costs: Vec<f64>,
    /// Cores that viewers of rows take of the service, while these change at one pace.
    cores: Vec<f64>,
    event: Duration,
    row: Duration,
    idle_kib: f64,
}

impl Live {
    fn measure(rounds: usize, time: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        let target = Target::new(service.addr, 1);
        let (mut unwatched, mut watched) = (Series::default(), Series::default());
        let (mut costs, mut cores) = (Vec::new(), Vec::new());
        // A tree of its own for each, since a change is applied once.
        let update = |root: u64, first: u64, is_watched: bool| {
            let topic = format!("tree/{root}&kinds=");
            let viewers = is_watched.then(|| Viewers::watch(service.addr, VIEWERS, &topic));
            let viewers = viewers.transpose()?;
            let order = |number| first + number;
            let (done, took) = service.working(|| {
                target.update(TREE, &order, &LIFE, CONNECTIONS, Until::Elapsed(time))
            })?;
            viewers.map(Viewers::end).transpose()?;
            Ok::<_, anyhow::Error>((done, took.as_secs_f64() / done.requests as f64))
        };
        let show = |root: u64, first: u64, is_watched: bool| {
            let ids: Vec<_> = (first..first + ROWS).map(|id| id.to_string()).collect();
            let topic = format!("rows/{root}&ids={}", ids.join(","));
            let viewers = is_watched.then(|| Viewers::watch(service.addr, VIEWERS, &topic));
            let viewers = viewers.transpose()?;
            let order = |number| first + number;
            let until = Until::Elapsed(time);
            let (done, took) =
                service.working(|| target.update_paced(ROWS, &order, &LIFE, BETWEEN, until))?;
            viewers.map(Viewers::end).transpose()?;
            Ok::<_, anyhow::Error>(took.as_secs_f64() / done.seconds)
        };
        for round in 0..rounds {
            let trees = [target.create_tree(TREE)?, target.create_tree(TREE)?];
            // By turns one and the other comes first.
            let (mut with, mut without) = ((0.0, 0.0), (0.0, 0.0));
            for (is_watched, (root, first)) in
                [round % 2 == 0, round % 2 == 1].into_iter().zip(trees)
            {
                let (done, cost) = update(root, first, is_watched)?;
                let (series, place) = match is_watched {
                    true => (&mut watched, &mut with),
                    false => (&mut unwatched, &mut without),
                };
                series.push(done);
                place.0 = cost;
            }
            for is_watched in [round % 2 == 0, round % 2 == 1] {
                let (root, first) = target.create_tree(ROWS)?;
                let place = if is_watched { &mut with } else { &mut without };
                place.1 = show(root, first, is_watched)?;
            }
            costs.push(with.0 / without.0);
            cores.push(with.1 - without.1);
        }
        let (root, job) = target.create_tree(1)?;
        let [event, row] = latencies(service.addr, root, job)?;
        let before = service.memory()?.resident_mb;
        let viewers = Viewers::watch(service.addr, IDLE, &format!("tree/{root}&kinds="))?;
        let idle_kib = (service.memory()?.resident_mb - before) * 1024.0 / IDLE as f64;
        viewers.end()?;
        Ok(Self { unwatched, watched, costs, cores, event, row, idle_kib })
    }

    fn show(&self) {
        table::row("update, no viewers", &self.unwatched, None, "");
        let ratio = self.watched.ratio_to(&self.unwatched);
        let what = format!("update, {VIEWERS} viewers of the root");
        table::row(&what, &self.watched, Some(ratio), "≥ 0.95 × unwatched");
        let costs = table::median(self.costs.iter().copied());
        let what = "processor time of the service for a change, with viewers and without";
        table::line(what, &format!("{costs:.2} ×"), "");
        let cores = table::median(self.cores.iter().copied());
        let what = format!("processor time of {VIEWERS} viewers of {ROWS} rows that change");
        table::line(&what, &format!("{cores:.2} cores"), "≤ 0.15 cores");
        let what = "from the answer to a change to its event, p99";
        table::line(what, &format!("{:.2?}", self.event), "≤ 5 ms");
        let what = "from the answer to a change to its row, p99";
        table::line(what, &format!("{:.0?}", self.row), &format!("≤ {TICK:?}"));
        let what = format!("memory of each of {IDLE} idle subscribers");
        table::line(&what, &format!("{:.0} KiB", self.idle_kib), "≤ 64 KiB");
    }
}

struct Roots {
    few: Series,
    many: Series,
}

impl Roots {
    fn measure(target: &Target, rounds: usize, roots: u64, time: Duration) -> Result<Self> {
        let path = "/api/v1/roots?limit=100&fields=row";
        let (mut few, mut many) = (Series::default(), Series::default());
        target.create_roots(CONNECTIONS, Until::Requests(FEW_ROOTS))?;
        for _ in 0..rounds {
            few.push(page(target, path, time)?);
        }
        let more = roots.saturating_sub(FEW_ROOTS);
        target.create_roots(CONNECTIONS, Until::Requests(more))?;
        for _ in 0..rounds {
            many.push(page(target, path, time)?);
        }
        Ok(Self { few, many })
    }

    fn show(&self, roots: u64) {
        table::row(&format!("first page of {FEW_ROOTS} roots"), &self.few, None, "");
        let ratio = self.few.rate() / self.many.rate();
        let what = format!("first page of {roots} roots (cost ratio)");
        table::row(&what, &self.many, Some(ratio), "≤ 2 × the cost");
    }
}

struct Children {
    first: Series,
    far: Series,
}

impl Children {
    fn measure(target: &Target, rounds: usize, children: u64, time: Duration) -> Result<Self> {
        let (parent, _) = target.create_tree(children)?;
        let path = |offset: u64| {
            format!("/api/v1/jobs/{parent}/children?limit=100&fields=row&offset={offset}")
        };
        let far_offset = children / 10 * 9;
        // The first request counts the children.
        load::fetch(target.addr, &path(far_offset))?;
        let (mut first, mut far) = (Series::default(), Series::default());
        for _ in 0..rounds {
            first.push(page(target, &path(0), time)?);
            far.push(page(target, &path(far_offset), time)?);
        }
        Ok(Self { first, far })
    }

    fn show(&self, children: u64) {
        table::row(&format!("children at offset 0 of {children}"), &self.first, None, "");
        let what = format!("children at offset {} (cost ratio)", children / 10 * 9);
        let ratio = 1.0 / self.far.ratio_to(&self.first);
        table::row(&what, &self.far, Some(ratio), "≤ 3 × the cost");
    }
}

/// The same page again and again.
fn page(target: &Target, path: &str, time: Duration) -> Result<Measured> {
    load::run(target.addr, 1, Until::Elapsed(time), &|out, _| get(out, format_args!("{path}")))
}

/// Connections that are told of a tree and read what they are told, on a thread of their own.
struct Viewers {
    over: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl Viewers {
    /// Answers when all of them have been told rows.
    fn watch(addr: SocketAddr, count: usize, topic: &str) -> Result<Self> {
        let (over, ended) = oneshot::channel();
        let (ready, are_ready) = mpsc::channel();
        let path = format!("/api/v1/events?topic={topic}");
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
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

/// The 99th percentiles of the time from the answer to a change to the frame with its event, and to
/// the one with its row.
fn latencies(addr: SocketAddr, root: u64, job: u64) -> Result<[Duration; 2]> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = format!("/api/v1/events?topic=tree/{root}&kinds=changed");
        let mut events = Stream::open(addr, &path, b"\"t\":\"mark\"").await?;
        let path = format!("/api/v1/events?topic=rows/{root}&ids={job}");
        let mut rows = Stream::open(addr, &path, b"\"t\":\"snap\"").await?;
        let mut writer = TcpStream::connect(addr).await?;
        writer.set_nodelay(true)?;
        let (mut to_event, mut to_row) = (Vec::new(), Vec::new());
        for number in 0..SNAPSHOTS + EVENTS {
            // Half of a tick apart, about, and at another point of it each time.
            if number < SNAPSHOTS {
                tokio::time::sleep(TICK / 2 + TICK / 61 * (number as u32 * 7 % 61)).await;
            }
            let name = format!("change-{number}-");
            let answered = change(&mut writer, job, &name);
            let told = told(&mut events, &name);
            let (answered, told) = tokio::try_join!(answered, told)?;
            // The frame may come before the answer.
            to_event.push(told.saturating_duration_since(answered));
            if number < SNAPSHOTS {
                // The creation is the first of its changes.
                let shown = self::told(&mut rows, &format!("\"changes\":{},", number + 2)).await?;
                to_row.push(shown.saturating_duration_since(answered));
            }
        }
        Ok([to_event, to_row].map(|mut latencies| {
            latencies.sort_unstable();
            latencies[latencies.len() * 99 / 100]
        }))
    })
}

/// Reports a change; answers when it is answered.
async fn change(writer: &mut TcpStream, job: u64, name: &str) -> Result<Instant> {
    let mut out = Vec::new();
    post(
        &mut out,
        format_args!("/api/v1/jobs/{job}/changes"),
        format_args!("{{\"state\":\"Running\",\"changeId\":\"{name}\"}}"),
    );
    writer.write_all(&out).await?;
    // An empty one would take 64 bytes, and leave the rest to the next reply.
    let mut reply = Vec::with_capacity(4096);
    anyhow::ensure!(writer.read_buf(&mut reply).await? > 0, "no answer");
    anyhow::ensure!(reply.starts_with(b"HTTP/1.1 200"), "a change is refused");
    Ok(Instant::now())
}

/// Answers when a text is told.
async fn told(stream: &mut Stream, text: &str) -> Result<Instant> {
    stream.until(text.as_bytes()).await?;
    Ok(Instant::now())
}
