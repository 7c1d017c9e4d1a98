//! Checks every file under a folder, as a job tree: one job per folder, one per file. The service
//! runs in this process; the work is reported to it over HTTP as it proceeds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use clap::Parser;
use jobtracker_client::{
    Job, JobId, JobTrackerClient, ListJobs, ListPage, NewChange, NewJob, State,
};
use tokio::{sync::Semaphore, task::JoinSet};

#[derive(Parser)]
struct Arguments {
    /// The folder whose files are checked.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// End after the work instead of staying up.
    #[arg(long)]
    once: bool,
}

/// Files that are checked at once.
const AT_ONCE: usize = 16;
/// Folders without files that a person wrote.
const SKIPPED: [&str; 3] = ["target", "node_modules", "jobtracker-data"];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let service = jobtracker_examples::start().await?;
    let tracker = service.client();
    let folder = arguments.folder.canonicalize()?;
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let name = format!("check {}", presentable(&name));
    let new = NewJob::new(name).created_by("demo").tag("demo");
    let root = tracker.create(new).await?.id;
    println!("Open {}/jobs/{root} in a browser.\n", service.url());

    let watcher = tokio::spawn(watch(tracker.clone(), root));
    let work = Work { tracker: tracker.clone(), places: Arc::new(Semaphore::new(AT_ONCE)) };
    check_folders(&work, folder, root).await?;
    watcher.await??;

    println!("\nThe tree, folders down to three levels:");
    print_tree(&tracker, root, 1).await?;
    print_failures(&tracker, root).await?;
    if !arguments.once {
        stay_up(service.url(), root).await?;
    }
    service.stop().await;
    Ok(())
}

#[derive(Clone)]
struct Work {
    tracker: JobTrackerClient,
    places: Arc<Semaphore>,
}

/// Walks the folders, makes a job of each and of each file, and checks the files meanwhile.
async fn check_folders(work: &Work, top: PathBuf, root: JobId) -> Result<()> {
    let mut checks = JoinSet::new();
    let mut folders = vec![(top, root)];
    while let Some((folder, id)) = folders.pop() {
        work.tracker.update(id, NewChange::new(State::Running)).await?;
        let mut entries = match read_folder(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                let failure = NewChange::new(State::Faulted).message(error.to_string());
                work.tracker.update(id, failure).await?;
                continue;
            }
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let plain = kind.is_dir() || kind.is_file();
            if name.starts_with('.') || SKIPPED.contains(&name.as_str()) || !plain {
                continue;
            }
            let name = presentable(&name);
            let child = work.tracker.create(NewJob::new(name).under(id)).await?.id;
            if kind.is_dir() {
                folders.push((entry.path(), child));
            } else {
                let place = Arc::clone(&work.places).acquire_owned().await?;
                let tracker = work.tracker.clone();
                checks.spawn(async move {
                    let _place = place;
                    check_file(&tracker, entry.path(), child).await
                });
            }
        }
        // The folder's own work is over; it is finished when everything in it is.
        work.tracker.update(id, NewChange::new(State::RanToCompletion)).await?;
    }
    while let Some(check) = checks.join_next().await {
        check??;
    }
    Ok(())
}

fn read_folder(folder: &Path) -> std::io::Result<Vec<std::fs::DirEntry>> {
    std::fs::read_dir(folder)?.collect()
}

/// A file name may hold anything; the name of a job is short and has no control characters.
fn presentable(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

async fn check_file(tracker: &JobTrackerClient, path: PathBuf, id: JobId) -> Result<()> {
    tracker.update(id, NewChange::new(State::Running)).await?;
    let verdict = tokio::task::spawn_blocking(move || verdict(&path)).await?;
    let change = match verdict {
        Ok(()) => NewChange::new(State::RanToCompletion),
        Err(reason) => NewChange::new(State::Faulted).message(reason).reason_code("bad_file"),
    };
    tracker.update(id, change).await?;
    Ok(())
}

/// A file has to be readable; text has to be UTF-8, JSON has to be JSON.
fn verdict(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        "json" => serde_json::from_slice::<serde_json::Value>(&bytes)
            .map(drop)
            .map_err(|error| format!("not JSON: {error}")),
        "rs" | "toml" | "md" | "txt" | "sh" | "yml" | "yaml" => {
            std::str::from_utf8(&bytes).map(drop).map_err(|error| format!("not UTF-8: {error}"))
        }
        _ => Ok(()),
    }
}

/// Shows the root's numbers until it is finished.
async fn watch(tracker: JobTrackerClient, root: JobId) -> Result<()> {
    loop {
        let waited = tracker.wait_finished(root, Duration::from_millis(100)).await?;
        let job = tracker.load(root).await?;
        let below = job.subtree;
        print!(
            "\r{:<28} {:>6} jobs: {:>5} to do, {:>3} running, {:>5} done, {:>3} failed ",
            job.state.name(),
            below.total,
            below.waiting + below.waiting_for_children,
            below.running,
            below.successful,
            below.failed,
        );
        std::io::Write::flush(&mut std::io::stdout())?;
        if waited.reached {
            println!();
            return Ok(());
        }
    }
}

/// Prints the folders with their numbers, down to a readable depth.
async fn print_tree(tracker: &JobTrackerClient, id: JobId, depth: usize) -> Result<()> {
    const DEPTH: usize = 3;
    let job = tracker.load(id).await?;
    println!("{:indent$}{}", "", line(&job), indent = depth * 2);
    let children = tracker.children(id, ListJobs::default().limit(1000)).await?;
    let folders = children.items.iter().filter(|child| child.subtree.total > 0);
    for folder in folders {
        if depth < DEPTH {
            Box::pin(print_tree(tracker, folder.id, depth + 1)).await?;
        } else {
            println!("{:indent$}{}", "", line(folder), indent = depth * 2 + 2);
        }
    }
    Ok(())
}

fn line(job: &Job) -> String {
    let mark = if job.state == State::Faulted { "✗" } else { "✓" };
    let below = job.subtree;
    format!("{mark} {} ({} jobs, {} failed)", job.name, below.total, below.failed)
}

async fn print_failures(tracker: &JobTrackerClient, root: JobId) -> Result<()> {
    if tracker.state(root).await? != State::Faulted {
        println!("\nNothing failed.");
        return Ok(());
    }
    println!("\nWhat failed, and why:");
    for blocker in tracker.blockers(root, ListPage::default()).await?.items {
        let why = blocker.last_change.message.unwrap_or_default();
        let mut path: Vec<_> = tracker.ancestors(blocker.job.id).await?;
        path.reverse();
        let folders: String = path[1..].iter().map(|folder| format!("{}/", folder.name)).collect();
        println!("  {folders}{}: {why}", blocker.job.name);
    }
    Ok(())
}

async fn stay_up(url: &str, root: JobId) -> Result<()> {
    println!("\nThe service stays up. In a browser: {url}/jobs/{root}");
    println!("With curl:");
    println!("  curl {url}/api/v1/jobs/{root}");
    println!("  curl {url}/api/v1/jobs/{root}/blockers");
    println!("  curl '{url}/api/v1/jobs/{root}/descendants?states=Faulted&limit=5'");
    println!("  curl '{url}/api/v1/roots?tags=demo'");
    println!("  curl {url}/metrics");
    println!("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
