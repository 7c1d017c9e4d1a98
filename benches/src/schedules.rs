//! Schedules: how long after their due times handlers start, and what schedules cost that wait.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jobtracker_client::{JobTrackerClient, Timestamp};
use jobtracker_worker::{Success, TaskContext, Worker};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    load::{self, Until, now_millis, post},
    process::Server,
    shapes::CONNECTIONS,
    table::{self, median},
};

/// Schedules that fire each second, a millisecond apart from each other.
const FIRING: u64 = 1_000;
const HANDLER: &str = "bench/late";
const WORKERS: usize = 4;
const SLOTS: u32 = 64;
/// How long they fire before anything is measured, and how long it is.
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(15);
/// How long the service is left alone before its idle time is measured, and how long that is.
const REST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);

pub fn run(rounds: usize, waiting: u64) -> Result<()> {
    println!("\nSchedules:\n");
    table::head();
    let runtime = Runtime::new()?;
    let (mut p50, mut p99, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("schedules, round {round} of {rounds}");
        let late = runtime.block_on(lateness())?;
        rates.push(late.len() as f64 / MEASURED.as_secs_f64());
        p50.push(late[late.len() / 2]);
        p99.push(late[late.len() * 99 / 100]);
    }
    let of = |values: Vec<f64>| median(values.into_iter());
    let what = format!("from due time to handler, {:.0} firings/s", of(rates));
    let value = format!("p50 {:.1} ms, p99 {:.1} ms", of(p50), of(p99));
    table::line(&what, &value, "p99 ≤ 100 ms");
    wait(waiting)
}

/// How many milliseconds after their due times handlers start; sorted.
async fn lateness() -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let (starts, mut started) = mpsc::unbounded_channel();
    let over = watch::Sender::new(false);
    let workers = work(service.addr, &starts, &over)?;
    let first = Timestamp::from_millis(now_millis() as i64 + 2_000).context("a time")?;
    let addr = service.addr;
    tokio::task::spawn_blocking(move || define(addr, first)).await??;
    tokio::time::sleep(WARM_UP).await;
    while started.try_recv().is_ok() {}
    let before = service.processor_time()?;
    tokio::time::sleep(MEASURED).await;
    let took = service.processor_time()? - before;
    let mut late = Vec::new();
    while let Ok(millis) = started.try_recv() {
        late.push(millis);
    }
    let each = took.as_secs_f64() * 1e6 / late.len() as f64;
    eprintln!("  {each:.0} µs of the service's processor time for each firing with its task");
    over.send_replace(true);
    for worker in workers {
        worker.await??;
    }
    late.sort_by(f64::total_cmp);
    if late.is_empty() {
        bail!("nothing fired");
    }
    Ok(late)
}

type Working = JoinHandle<Result<(), jobtracker_worker::WorkerError>>;

/// Workers whose handler tells how late it is.
fn work(
    addr: SocketAddr,
    starts: &mpsc::UnboundedSender<f64>,
    over: &watch::Sender<bool>,
) -> Result<Vec<Working>> {
    let client = JobTrackerClient::new(format!("http://{addr}"))?;
    let worker = |number: usize| {
        let starts = starts.clone();
        let handler = move |cx: TaskContext| {
            let (now, starts) = (now_millis(), starts.clone());
            async move {
                // The times are a second apart, so that this is right if it is less than that.
                let first: f64 = cx.params()?;
                // The receiver outlives the workers.
                let _ = starts.send((now - first).rem_euclid(1_000.0));
                Ok(Success::new())
            }
        };
        let worker = Worker::builder(client.clone(), format!("bench-{number}")).slots(SLOTS);
        let worker = worker.handler(HANDLER, "tells how late it is", handler).build()?;
        let mut over = over.subscribe();
        Ok(tokio::spawn(worker.run(async move {
            // The sender outlives the workers.
            let _ = over.wait_for(|over| *over).await;
        })))
    };
    (0..WORKERS).map(worker).collect()
}

/// Schedules that fire each second, from a time on.
fn define(addr: SocketAddr, first: Timestamp) -> Result<()> {
    create(addr, FIRING, &|number| {
        let start = first.after(Duration::from_millis(number));
        let params = start.millis();
        format!(
            "\"triggers\":[{{\"kind\":\"fixedRate\",\"everyMs\":1000,\"start\":\"{start}\"}}],\
             \"run\":{{\"task\":{{\"handler\":\"{HANDLER}\",\"params\":{params}}}}}"
        )
    })
}

/// Creates schedules with these definitions.
fn create(addr: SocketAddr, count: u64, definition: &dyn Fn(u64) -> String) -> Result<()> {
    load::run(addr, CONNECTIONS, Until::Requests(count), &|out, number| {
        let definition = definition(number);
        let body = format!("{{\"name\":\"s{number}\",\"definition\":{{{definition}}}}}");
        post(out, format_args!("/api/v1/schedules"), format_args!("{body}"));
    })?;
    Ok(())
}

/// Very many schedules, none of which is due.
fn wait(count: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let begun = Instant::now();
    create(service.addr, count, &|number| {
        let (minute, hour) = (number % 60, number / 60 % 24);
        // None is due soon: that day is rare.
        format!(
            "\"triggers\":[{{\"kind\":\"cron\",\"pattern\":\"{minute} {hour} 29 2 *\"}}],\
             \"run\":{{\"task\":{{\"handler\":\"bench/none\"}}}}"
        )
    })?;
    eprintln!("  {count} schedules created in {:.1?}", begun.elapsed());
    service.kill()?;
    let service = Server::jobtracker(folder.path())?;
    let opened = service.opened_in;
    std::thread::sleep(REST);
    let memory = service.memory()?;
    let began = service.processor_time()?;
    std::thread::sleep(IDLE);
    let idle = service.processor_time()?.saturating_sub(began);
    let share = 100.0 * idle.as_secs_f64() / IDLE.as_secs_f64();
    table::line(&format!("{count} schedules wait: memory"), &megabytes(memory), "≤ 200 MB");
    let seconds = opened.as_secs_f64();
    table::line("… start of the process after kill -9", &format!("{seconds:.2} s"), "≤ 2 s");
    let value = format!("{:.2} s", began.as_secs_f64());
    table::line("… processor time of the start and the first list", &value, "");
    table::line("… idle", &format!("{share:.1} % of a core"), "≤ 1 %");
    Ok(())
}

fn megabytes(memory: crate::process::Memory) -> String {
    format!("{:.0} MB, {:.0} MB at most", memory.resident_mb, memory.peak_mb)
}
