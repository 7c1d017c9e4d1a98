//! Tasks: how fast they go through claim, run and report, what a queue costs through which very
//! many have gone, how soon the task of a lost worker is run by another, and what waiting workers
//! cost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use jobtracker_client::JobTrackerClient;
use jobtracker_worker::{Success, TaskContext, Worker};
use tokio::{runtime::Runtime, sync::watch};

use crate::{
    load::{self, Connection, Measured, Numbers, Until, post},
    process::Server,
    shapes::{CONNECTIONS, Target},
    slot::{self, HANDLER, Slot},
    table::{self, Series, median},
};

/// Workers that have the slots together.
const WORKERS: usize = 4;
/// What becomes of a job without a task.
const LIFE: [&str; 2] = ["Running", "RanToCompletion"];
/// Tasks that go through the queue of an embedded store at once.
const STEP: u64 = 100_000;
/// Children in one request.
const BATCH: usize = 1_000;
/// The root of the first tree whose tasks go through a queue; the next ones are apart from it by
/// the tasks that have gone.
const FIRST_TREE: u64 = 1 << 40;
/// Tasks that are claimed and reported one after another.
const ALONE: u64 = 1_000;
/// The lease time of the service, by default.
const LEASE: Duration = Duration::from_secs(30);
/// Registrations at once.
const REGISTERING: usize = 16;

/// How much is measured; 0 leaves a part out.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Tasks of a round.
    pub tasks: u64,
    /// Tasks that go through one queue.
    pub queue: u64,
    /// Requests that wait at once.
    pub polls: usize,
}

pub fn run(rounds: usize, sizes: Sizes) -> Result<()> {
    println!("\nTasks; every claim and report is on disk before its reply.\n");
    table::head();
    throughput(rounds, sizes.tasks)?;
    if sizes.queue > 0 {
        let folder = tempfile::tempdir()?;
        queue(&Server::jobtracker(folder.path())?, sizes.tasks, sizes.queue, STEP)?;
    }
    if sizes.polls > 0 {
        polls(sizes.polls)?;
    }
    takeover()
}

/// Tasks against two updates of jobs that have none.
fn throughput(rounds: usize, tasks: u64) -> Result<()> {
    let (mut plain, mut slots) = (Series::default(), Series::default());
    let mut of_crate = Vec::new();
    for round in 1..=rounds {
        eprintln!("tasks, round {round} of {rounds}");
        let folder = tempfile::tempdir()?;
        let service = Server::jobtracker(folder.path())?;
        let target = Target::new(service.addr, 1);
        target.create_roots(CONNECTIONS, Until::Requests(tasks))?;
        let order = |number| number + 1;
        let until = Until::Requests(2 * tasks);
        plain.push(target.update(tasks, &order, &LIFE, CONNECTIONS, until)?);
        let workers = register(service.addr, WORKERS)?;
        create(service.addr, tasks)?;
        let (done, took) =
            service.working(|| claim_and_report(service.addr, &workers, CONNECTIONS, tasks))?;
        let each = took.as_secs_f64() * 1e6 / tasks as f64;
        eprintln!("  {each:.1} µs of the service's processor time for each task");
        slots.push(done);
        create(service.addr, tasks)?;
        of_crate.push(by_the_crate(service.addr, tasks)?);
    }
    table::row("floor: update, distinct roots, 64 connections", &plain, None, "");
    let ratio = 2.0 * slots.ratio_to(&plain);
    let what = "tasks: claim and report, 64 slots with a connection each";
    table::row(what, &slots, Some(ratio), "≥ 5,000/s, ≥ 0.4 × two updates");
    let what = "the same, run by 4 workers of the crate with 16 slots each";
    table::line(what, &format!("{:.0}/s", median(of_crate.into_iter())), "≥ 5,000/s");
    Ok(())
}

fn create(addr: SocketAddr, tasks: u64) -> Result<()> {
    load::run(addr, CONNECTIONS, Until::Requests(tasks), &|out, number| {
        let task = format_args!("{{\"handler\":\"{HANDLER}\"}}").to_string();
        let body = format_args!("{{\"name\":\"page {number}\",\"task\":{task}}}").to_string();
        post(out, format_args!("/api/v1/jobs"), format_args!("{body}"));
    })?;
    Ok(())
}

/// The same in one tree, so that one commit creates very many of them.
fn create_in_one_tree(addr: SocketAddr, root: u64, tasks: u64) -> Result<()> {
    load::run(addr, 1, Until::Requests(1), &|out, _| {
        post(out, format_args!("/api/v1/jobs"), format_args!("{{\"id\":{root},\"name\":\"all\"}}"));
    })?;
    let task = format!("{{\"name\":\"page\",\"task\":{{\"handler\":\"{HANDLER}\"}}}}");
    let jobs = vec![task; BATCH].join(",");
    load::run(addr, 1, Until::Requests(tasks / BATCH as u64), &|out, _| {
        let path = format_args!("/api/v1/jobs/{root}/children");
        post(out, path, format_args!("{{\"jobs\":[{jobs}]}}"));
    })?;
    Ok(())
}

fn register(addr: SocketAddr, count: usize) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let some = |first: usize| async move {
        let mut connection = Connection::open(addr).await?;
        let mut ids = Vec::new();
        for number in (first..count).step_by(REGISTERING) {
            let name = format!("bench-{number}");
            ids.push(slot::register(&mut connection, &name, CONNECTIONS).await?);
        }
        anyhow::Ok(ids)
    };
    Ok(runtime.block_on(try_join_all((0..REGISTERING).map(some)))?.concat())
}

/// Has this many tasks claimed and reported by some slots.
fn claim_and_report(
    addr: SocketAddr,
    workers: &[String],
    slots: usize,
    tasks: u64,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let numbers = Numbers::new(Until::Requests(tasks));
        let slot = |number: usize| {
            let (numbers, worker) = (&numbers, &workers[number % workers.len()]);
            async move {
                let mut slot = Slot::open(addr, worker).await?;
                let call = async |_| {
                    let task = slot.claim().await?;
                    slot.succeed(task).await
                };
                numbers.call(call).await
            }
        };
        numbers.run((0..slots).map(slot)).await
    })
}

/// The rate at which workers of the crate run as many tasks.
fn by_the_crate(addr: SocketAddr, tasks: u64) -> Result<f64> {
    Runtime::new()?.block_on(async {
        let client = JobTrackerClient::new(format!("http://{addr}"))?;
        let (left, over) = (Arc::new(AtomicU64::new(tasks)), watch::Sender::new(false));
        let begun = Instant::now();
        let mut running = Vec::new();
        for number in 0..WORKERS {
            let (left, told) = (Arc::clone(&left), over.clone());
            let handler = move |_: TaskContext| {
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    told.send_replace(true);
                }
                async { Ok(Success::new()) }
            };
            let slots = (CONNECTIONS / WORKERS) as u32;
            let worker = Worker::builder(client.clone(), format!("crate-{number}"));
            let worker = worker.handler(HANDLER, "does nothing", handler).slots(slots).build()?;
            let mut over = over.subscribe();
            running.push(tokio::spawn(worker.run(async move {
                // The sender outlives the workers.
                let _ = over.wait_for(|over| *over).await;
            })));
        }
        // A worker that stops ends what it has first, with its reports.
        for worker in running {
            worker.await??;
        }
        Ok(tasks as f64 / begun.elapsed().as_secs_f64())
    })
}

/// A new queue against the same one after many tasks have gone through it, `step` of them between
/// two lines that tell how far it is.
pub fn queue(service: &Server, tasks: u64, many: u64, step: u64) -> Result<()> {
    let workers = register(service.addr, WORKERS)?;
    let measure = || {
        let (mut series, mut alone) = (Series::default(), Series::default());
        for _ in 0..3 {
            create(service.addr, tasks)?;
            series.push(claim_and_report(service.addr, &workers, CONNECTIONS, tasks)?);
            create(service.addr, ALONE)?;
            alone.push(claim_and_report(service.addr, &workers, 1, ALONE)?);
        }
        anyhow::Ok((series, alone))
    };
    let new = measure()?;
    for gone in (0..many).step_by(step as usize) {
        create_in_one_tree(service.addr, FIRST_TREE + gone, step)?;
        let rate = claim_and_report(service.addr, &workers, CONNECTIONS, step)?.rate();
        eprintln!("{gone} tasks have gone through the queue; {rate:.0}/s");
    }
    let old = measure()?;
    table::row("tasks, a new queue", &new.0, None, "");
    let what = format!("tasks, a queue through which {many} have gone");
    let ratio = median(old.0.rates()) / median(new.0.rates());
    table::row(&what, &old.0, Some(ratio), "as fast as a new one");
    table::row("tasks, a new queue, 1 connection", &new.1, None, "");
    let ratio = median(old.1.rates()) / median(new.1.rates());
    table::row(&format!("{what}, 1 connection"), &old.1, Some(ratio), "as fast as a new one");
    Ok(())
}

/// Workers that wait for tasks, with two connections each.
fn polls(count: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let begun = Instant::now();
    let workers = register(service.addr, count / 2)?;
    let registered = begun.elapsed();
    let before = service.memory()?.resident_mb;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let open: Vec<Connection> = runtime.block_on(async {
        let mut open = Vec::new();
        for worker in workers.iter().chain(&workers) {
            let mut connection = Connection::open(service.addr).await?;
            connection.send(|out| slot::claim(out, worker, 30_000)).await?;
            open.push(connection);
        }
        anyhow::Ok(open)
    })?;
    let waiting = waiting(service.addr, open.len())?;
    let each = (service.memory()?.resident_mb - before) * 1024.0 / waiting as f64;
    let what = format!("memory of each of {waiting} requests of workers that wait");
    table::line(&what, &format!("{each:.1} KiB"), "≤ 16 KiB");
    let what = format!("registration of {} workers, {REGISTERING} at once", workers.len());
    table::line(&what, &format!("{:.1} s", registered.as_secs_f64()), "");
    drop(open);
    sockets(count)
}

/// The same over WebSockets, one for each worker, with a claim and a heartbeat that wait.
fn sockets(count: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let workers = register(service.addr, count / 2)?;
    let before = service.memory()?.resident_mb;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let open: Vec<Connection> = runtime.block_on(async {
        let mut open = Vec::new();
        for worker in &workers {
            let mut connection = Connection::open(service.addr).await?;
            connection.upgrade("/api/v1/workers/socket").await?;
            for (call, op, body) in
                [(1, "claimTasks", "\"free\":1"), (2, "heartbeat", "\"tasks\":[]")]
            {
                let body = format!("{{{body},\"waitMs\":30000}}");
                let of = format!("\"call\":{call},\"op\":\"{op}\",\"worker\":\"{worker}\"");
                connection.say(&format!("{{{of},\"body\":{body}}}")).await?;
            }
            open.push(connection);
        }
        anyhow::Ok(open)
    })?;
    let waiting = waiting(service.addr, 2 * open.len())?;
    let each = (service.memory()?.resident_mb - before) * 1024.0 / waiting as f64;
    let what = format!("the same of {waiting} on {} WebSockets", open.len());
    table::line(&what, &format!("{each:.1} KiB"), "≤ 16 KiB");
    Ok(())
}

/// Waits until this many requests have come in; answers the number.
fn waiting(addr: SocketAddr, count: usize) -> Result<usize> {
    let begun = Instant::now();
    loop {
        let metrics = String::from_utf8(load::fetch(addr, "/metrics")?)?;
        let gauge = metrics.lines().find_map(|line| {
            line.strip_prefix("jobtracker_http_requests_in_flight ")?.parse::<usize>().ok()
        });
        // It counts the request that reads it.
        let waiting = gauge.context("the service counts its requests")? - 1;
        if waiting >= count || begun.elapsed() > LEASE / 4 {
            return Ok(waiting);
        }
    }
}

/// A worker claims a task and is never heard of again: how soon another has it.
fn takeover() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let service = Server::jobtracker(folder.path())?;
    let workers = register(service.addr, 2)?;
    let task = "{\"handler\":\"bench/empty\",\"retry\":{\"max\":1,\"initialMs\":1}}";
    load::run(service.addr, 1, Until::Requests(1), &|out, _| {
        let body = format!("{{\"name\":\"page\",\"task\":{task}}}");
        post(out, format_args!("/api/v1/jobs"), format_args!("{body}"));
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let after = runtime.block_on(async {
        Slot::open(service.addr, &workers[0]).await?.claim().await?;
        let begun = Instant::now();
        let task = Slot::open(service.addr, &workers[1]).await?.claim().await?;
        anyhow::ensure!(task.epoch == 2, "another lease");
        anyhow::Ok(begun.elapsed())
    })?;
    let late = after.saturating_sub(LEASE).as_secs_f64();
    let value = format!("lease + {late:.1} s");
    table::line("the task of a worker that is lost runs again", &value, "≤ lease + 2 s");
    Ok(())
}
