//! Work that is started by the clock and run by other processes: a service, two workers, a schedule
//! that fires each second, and a run in four shards that ends although a worker is killed in its
//! middle. The program starts itself again as each of the workers.

use std::{
    collections::BTreeMap,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use jobtracker_client::{
    Job, JobId, JobTrackerClient, ListJobs, ListPage, NewTask, Retry, Shard, State,
    schedule::{
        FiringOutcome, NewSchedule, RunTemplate, ScheduleDefinition, ScheduleTrigger, Sharding,
    },
};
use jobtracker_worker::{Outcome, Success, TaskContext, Worker, terminated};

#[derive(Parser)]
struct Arguments {
    /// End after the run instead of staying up.
    #[arg(long)]
    once: bool,
    /// Be a worker of the service at this address.
    #[arg(long, value_names = ["URL", "NAME"], num_args = 2, hide = true)]
    worker: Vec<String>,
}

/// Shards of the run.
const SHARDS: u32 = 4;
/// Runs of the clock that are shown.
const TICKS: u64 = 5;
/// Only a failure waits this long.
const LONG: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.worker[..] {
        [url, name] => work(url, name).await,
        _ => show(arguments.once).await,
    }
}

/// What each of the workers is.
async fn work(url: &str, name: &str) -> Result<()> {
    let client = JobTrackerClient::new(url)?;
    let worker = Worker::builder(client, name)
        .handler("demo/tick", "says the time", tick)
        .handler("demo/shard", "works on a part", shard)
        .slots(SHARDS)
        .build()?;
    Ok(worker.run(terminated()).await?)
}

async fn tick(cx: TaskContext) -> Outcome {
    let before: u32 = cx.data()?.unwrap_or(0);
    cx.set_data(&(before + 1))?;
    Ok(Success::new().message(format!("tick {}", before + 1)))
}

/// The first attempt takes longer than the worker lives that is killed.
async fn shard(cx: TaskContext) -> Outcome {
    let Shard { index, total } = cx
        .shard()
        .context("a task of the sharded schedule")
        .map_err(jobtracker_worker::Failure::failed)?;
    for step in 0..10 {
        cx.progress(step * 10);
        let pause = Duration::from_millis(if cx.attempt() == 1 { 300 } else { 20 });
        tokio::time::sleep(pause).await;
    }
    cx.log(format!("part {} of {total} is done", index + 1)).await;
    Ok(Success::new())
}

async fn show(once: bool) -> Result<()> {
    // Workers that are silent are lost after this time; 30 seconds are usual.
    let service = jobtracker_examples::start_with(|config| config.workers.lease_ms = 1_500).await?;
    let tracker = service.client();
    println!("Open {}/schedules in a browser.\n", service.url());
    let mut workers = BTreeMap::new();
    for name in ["first", "second"] {
        workers.insert(name.to_owned(), Process::start(service.url(), name)?);
    }

    let clock = ScheduleTrigger::Cron { pattern: "* * * * * *".into(), zone: "UTC".into() };
    define(&tracker, "each-second", ScheduleDefinition::new([clock]), "demo/tick").await?;
    let parts = Sharding::Fixed { total: SHARDS };
    let parts = ScheduleDefinition { sharding: parts, ..ScheduleDefinition::new([]) };
    define(&tracker, "in-parts", parts, "demo/shard").await?;

    let run = tracker.trigger_schedule("in-parts", &Default::default()).await?.run;
    let run = run.context("no other run is open")?;
    kill_one(&tracker, run, &mut workers).await?;
    tracker.wait_finished(run, LONG).await?;
    println!("\nThe run in parts:");
    print_tree(&tracker, run).await?;

    println!("\nThe last seconds:");
    for root in ticks(&tracker).await? {
        print_tree(&tracker, root).await?;
    }
    if !once {
        println!("\nThe service and a worker stay up: {}/schedules", service.url());
        println!("Ctrl-C ends them.");
        tokio::signal::ctrl_c().await?;
    }
    drop(workers);
    service.stop().await;
    Ok(())
}

/// A worker; killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(url: &str, name: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(Self(command.args(["--worker", url, name]).spawn()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn define(
    tracker: &JobTrackerClient,
    name: &str,
    definition: ScheduleDefinition,
    handler: &str,
) -> Result<()> {
    let retry = Retry { initial_ms: 100, ..Retry::times(3) };
    let task = Some(NewTask::new(handler).retry(retry));
    let run = RunTemplate { task, ..RunTemplate::default() };
    let definition = ScheduleDefinition { run, ..definition };
    tracker.create_schedule(&NewSchedule::new(name, definition)).await?;
    Ok(())
}

/// Kills a worker that runs a part of this run, once all parts run.
async fn kill_one(
    tracker: &JobTrackerClient,
    run: JobId,
    workers: &mut BTreeMap<String, Process>,
) -> Result<()> {
    // The run names its root before it makes it.
    let parts = loop {
        match tracker.children(run, ListJobs::default()).await {
            Ok(children) if children.items.len() == SHARDS as usize => break children.items,
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut runs_it = None;
    for part in parts {
        tracker.wait(part.id, [State::Running].into_iter().collect(), LONG).await?;
        runs_it = tracker.task(part.id).await?.worker.or(runs_it);
    }
    let id = runs_it.context("a worker runs a part")?;
    let worker = tracker.workers().await?.into_iter().find(|worker| worker.id == id);
    let name = worker.context("the service knows its workers")?.worker.name;
    println!("The worker {name} ({id}) is killed while it runs parts.");
    drop(workers.remove(&name));
    Ok(())
}

/// Roots of the last runs of the clock, the oldest first.
async fn ticks(tracker: &JobTrackerClient) -> Result<Vec<JobId>> {
    loop {
        let firings = tracker.firings("each-second").await?;
        let started = firings.iter().filter(|firing| firing.state.is_some());
        let roots = started.filter_map(|firing| match firing.outcome {
            FiringOutcome::Started { run } => Some(run),
            _ => None,
        });
        let mut roots: Vec<JobId> = roots.take(TICKS as usize).collect();
        if roots.len() == TICKS as usize {
            roots.reverse();
            return Ok(roots);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Prints a job, how it came to its state, and its children.
async fn print_tree(tracker: &JobTrackerClient, id: JobId) -> Result<()> {
    print_job(tracker, &tracker.load(id).await?, 2).await?;
    for child in tracker.children(id, ListJobs::default()).await?.items {
        print_job(tracker, &child, 4).await?;
    }
    Ok(())
}

async fn print_job(tracker: &JobTrackerClient, job: &Job, indent: usize) -> Result<()> {
    println!("{:indent$}{} {}: {}", "", job.id, job.name, job.state.name());
    for change in tracker.changes(job.id, ListPage::default()).await?.items {
        let said = change.message.unwrap_or_default();
        let inner = indent + 4;
        println!("{:inner$}{} {:14} {said}", "", change.time, change.state.name());
    }
    Ok(())
}
