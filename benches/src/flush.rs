//! The buffered context: how fast it records, and how fast a flush becomes visible.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use jobtracker_client::{Action, JobId, JobTrackerClient, NewChange, NewJob, State};
use jobtracker_context::JobTrackerContext;
use tokio::runtime::Runtime;

use crate::{
    forwarder::Forwarder,
    load::{Measured, Until},
    process::{self, Server},
    raw,
    shapes::Target,
    table::{self, median},
};

/// Contexts that flush small trees at once, and the trees of each.
const CONTEXTS: u64 = 64;
const TREES: u64 = 100;
const JOBS_OF_TREE: u64 = 10;
/// Operations of a job: its creation and two changes.
const OPERATIONS: f64 = 3.0;
/// What becomes of a job.
pub const LIFE: [State; 2] = [State::Running, State::RanToCompletion];

#[derive(Default)]
struct Seen {
    one_task: Vec<f64>,
    eight_tasks: Vec<f64>,
    raw: Vec<f64>,
    large: Vec<f64>,
    ratio: Vec<f64>,
    small: Vec<f64>,
    small_ratio: Vec<f64>,
    server_mb: Vec<f64>,
    client_mb: f64,
    quiet: Vec<Measured>,
    during: Vec<Measured>,
    wire: (f64, f64),
}

pub fn run(rounds: usize, jobs: u64) -> Result<()> {
    let runtime = Runtime::new()?;
    let mut seen = Seen::default();
    for round in 1..=rounds {
        eprintln!("flush, round {round} of {rounds}");
        let folder = tempfile::tempdir()?;
        let raw = raw::write_rows(folder.path(), jobs)?.as_secs_f64();
        seen.raw.push(raw);
        runtime.block_on(large(&mut seen, jobs, raw))?;
        seen.one_task.push(runtime.block_on(record(jobs, 1))?);
        seen.eight_tasks.push(runtime.block_on(record(jobs, 8))?);
        runtime.block_on(small(&mut seen))?;
        beside(&mut seen, &runtime, jobs)?;
    }
    seen.wire = (runtime.block_on(wire(false))?, runtime.block_on(wire(true))?);
    print(&seen, jobs);
    Ok(())
}

fn context(addr: SocketAddr) -> Result<JobTrackerContext> {
    let tracker = JobTrackerClient::new(format!("http://{addr}"))?;
    Ok(JobTrackerContext::new(Arc::new(tracker))?)
}

/// Jobs under a root; each one gets these states one after another.
async fn children(
    context: &JobTrackerContext,
    root: JobId,
    count: u64,
    states: &[State],
) -> Result<()> {
    for number in 0..count {
        let job = NewJob::new(format!("page {number}")).under(root).created_by("bench");
        let job = context.create(job).await?;
        for state in states {
            context.update(job, NewChange::new(*state)).await?;
        }
    }
    Ok(())
}

/// Records, with ids of its own and no service: operations per second.
async fn record(jobs: u64, tasks: u64) -> Result<f64> {
    let nowhere = Arc::new(JobTrackerClient::new("http://127.0.0.1:1")?);
    let builder = JobTrackerContext::builder(nowhere).ids_from(JobId::MIN, jobs + 1);
    let context = builder.build()?;
    let root = context.create(NewJob::new("root")).await?;
    let begun = Instant::now();
    let recording = (0..tasks).map(|_| {
        let context = context.clone();
        tokio::spawn(async move { children(&context, root, jobs / tasks, &LIFE).await })
    });
    for task in try_join_all(recording).await? {
        task?;
    }
    let rate = (jobs / tasks * tasks) as f64 * OPERATIONS / begun.elapsed().as_secs_f64();
    context.close().await?;
    Ok(rate)
}

/// One tree of many jobs, from `commit_and_close` to the answer.
async fn large(seen: &mut Seen, jobs: u64, raw: f64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let idle = service.memory()?.resident_mb;
    let own = process::memory_of(std::process::id())?.resident_mb;
    let (took, root) = flush(service.addr, jobs, &LIFE).await?;
    let tracker = JobTrackerClient::new(format!("http://{}", service.addr))?;
    ensure!(tracker.load(root).await?.subtree.successful == jobs, "the numbers are exact");
    seen.server_mb.push(service.memory()?.peak_mb - idle);
    // Only the first round counts: later ones reuse memory that earlier ones have left.
    if seen.large.is_empty() {
        seen.client_mb = process::memory_of(std::process::id())?.peak_mb - own;
    }
    seen.large.push(took.as_secs_f64());
    seen.ratio.push(raw / took.as_secs_f64());
    Ok(())
}

/// One tree of many jobs with these states; answers how long it took to be visible, and its root.
pub async fn flush(addr: SocketAddr, jobs: u64, states: &[State]) -> Result<(Duration, JobId)> {
    let context = context(addr)?;
    let root = context.create(NewJob::new("crawl")).await?;
    children(&context, root, jobs, states).await?;
    let begun = Instant::now();
    let flushed = context.commit_and_close().await?;
    ensure!(flushed.jobs == jobs + 1, "everything was applied");
    Ok((begun.elapsed(), root))
}

/// One tree of this many jobs with an action each, which fault.
pub async fn faulted(addr: SocketAddr, jobs: u64, action: &Action) -> Result<()> {
    let context = context(addr)?;
    let root = context.create(NewJob::new("crawl")).await?;
    for number in 0..jobs {
        let job = NewJob::new(format!("page {number}")).under(root).action(action.clone());
        let job = context.create(job).await?;
        context.update(job, NewChange::new(State::Faulted)).await?;
    }
    context.commit_and_close().await?;
    Ok(())
}

/// Many small trees from many contexts at once.
async fn small(seen: &mut Seen) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    // Once to warm up, as the other shapes do.
    small_trees(service.addr).await?;
    let rate = small_trees(service.addr).await?;
    seen.small.push(rate);
    let large = 1e6 / seen.large.last().copied().unwrap_or(f64::NAN);
    seen.small_ratio.push(rate / large);
    Ok(())
}

/// Jobs per second.
async fn small_trees(addr: SocketAddr) -> Result<f64> {
    let tracker = Arc::new(JobTrackerClient::new(format!("http://{addr}"))?);
    let mut contexts = Vec::new();
    for _ in 0..CONTEXTS {
        let context = JobTrackerContext::new(tracker.clone())?;
        for tree in 0..TREES {
            let root = context.create(NewJob::new(format!("tree {tree}"))).await?;
            children(&context, root, JOBS_OF_TREE - 1, &LIFE).await?;
        }
        contexts.push(context);
    }
    let begun = Instant::now();
    let flushing = contexts
        .into_iter()
        .map(|context| tokio::spawn(async move { context.commit_and_close().await }));
    let mut jobs = 0;
    for flushed in try_join_all(flushing).await? {
        jobs += flushed?.jobs;
    }
    let rate = jobs as f64 / begun.elapsed().as_secs_f64();
    ensure!(jobs == CONTEXTS * TREES * JOBS_OF_TREE, "everything was applied");
    Ok(rate)
}

/// One of the two flushes, again and again, against a service that is up; for profiles.
pub fn run_one(jobs: u64, addr: SocketAddr, time: Duration) -> Result<()> {
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    while begun.elapsed() < time {
        let rate = match jobs {
            0 => runtime.block_on(small_trees(addr))?,
            _ => jobs as f64 / runtime.block_on(flush(addr, jobs, &LIFE))?.0.as_secs_f64(),
        };
        eprintln!("{rate:.0} jobs/s");
    }
    Ok(())
}

/// Single creations on one connection: on a quiet service, and while a large tree comes in.
fn beside(seen: &mut Seen, runtime: &Runtime, jobs: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let target = Target::new(service.addr, 1_000_000_000);
    seen.quiet.push(target.create_roots(1, Until::Elapsed(Duration::from_secs(1)))?);
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let addr = service.addr;
    let context = runtime.block_on(async {
        let context = context(addr)?;
        let root = context.create(NewJob::new("crawl")).await?;
        children(&context, root, jobs, &LIFE).await?;
        anyhow::Ok(context)
    })?;
    let flushing = runtime.spawn(async move {
        let flushed = context.commit_and_close().await;
        told.store(true, Ordering::SeqCst);
        flushed
    });
    let until = Until::Told(&over);
    seen.during.push(target.create_roots(1, until)?);
    runtime.block_on(flushing)??;
    Ok(())
}

/// Bytes that the client sends for each job.
async fn wire(compress: bool) -> Result<f64> {
    const JOBS: u64 = 100_000;
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let forwarder = Forwarder::start(service.addr).await?;
    let builder = JobTrackerClient::builder(format!("http://{}", forwarder.addr));
    let tracker = builder.compress_requests(compress).build()?;
    let context = JobTrackerContext::new(Arc::new(tracker))?;
    let root = context.create(NewJob::new("crawl")).await?;
    children(&context, root, JOBS, &LIFE).await?;
    let before = forwarder.sent();
    context.commit_and_close().await?;
    Ok((forwarder.sent() - before) as f64 / JOBS as f64)
}

fn print(seen: &Seen, jobs: u64) {
    let of = |values: &[f64]| median(values.iter().copied());
    let line = |what: &str, value: String, aim: &str| table::line(what, &value, aim);
    println!("\nThe buffered context: jobs with a creation and two changes each.\n");
    table::head();
    let rate = |values: &[f64]| format!("{:.0} operations/s", of(values));
    line("record, one task, no network", rate(&seen.one_task), "≥ 1,500,000/s");
    line("record, 8 tasks under one root", rate(&seen.eight_tasks), "");
    let what = format!("floor: raw store, rows of {jobs} jobs (5 each), no roll-up");
    line(&what, format!("{:.2} s", of(&seen.raw)), "");
    let what = format!("flush of {jobs} jobs in one tree, to visible");
    let value = format!("{:.2} s, {:.2} × raw store", of(&seen.large), of(&seen.ratio));
    line(&what, value, "≤ 8 s for 1,000,000; ≥ 0.5 × raw store");
    let what = format!("{TREES} trees of {JOBS_OF_TREE} jobs by each of {CONTEXTS} contexts");
    let value =
        format!("{:.0} jobs/s, {:.2} × large flush", of(&seen.small), of(&seen.small_ratio));
    line(&what, value, "≥ 0.5 × large flush");
    let latency = |seen: &[Measured], of: fn(&Measured) -> Duration| {
        Duration::from_secs_f64(median(seen.iter().map(|one| of(one).as_secs_f64())))
    };
    for (what, seen) in [("quiet", &seen.quiet), ("during a large flush", &seen.during)] {
        let (p50, p99) = (latency(seen, |one| one.p50), latency(seen, |one| one.p99));
        let what = format!("single creates, 1 connection, {what}");
        line(&what, format!("p50 {p50:.2?}, p99 {p99:.2?}"), "");
    }
    line(
        "server memory during the large flush",
        format!("{:.0} MB above idle", of(&seen.server_mb)),
        "≤ 300 MB",
    );
    let value = format!("{:.0} MB", seen.client_mb);
    line("client memory for recording and flushing it", value, "");
    let (plain, packed) = seen.wire;
    line("bytes on the wire per job", format!("{plain:.1} plain, {packed:.1} with zstd"), "");
}
