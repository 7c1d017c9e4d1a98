//! A million jobs recorded in memory by eight tasks, and sent at once: readers never see a part of
//! the tree, and then they see all of it.
//!
//! `cargo run --release --example bulk_context` shows the times; `-- --jobs 10000` makes it short.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use clap::Parser;
use jobtracker_client::{JobId, NewChange, NewJob, State};
use jobtracker_context::JobTrackerContext;

#[derive(Parser)]
struct Arguments {
    /// How many pages are crawled.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u64,
}

/// Tasks that record at the same time.
const TASKS: u64 = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { jobs } = Arguments::parse();
    let service = jobtracker_examples::start().await?;
    let tracker = Arc::new(service.client());
    let context = JobTrackerContext::new(tracker.clone())?;

    let begun = Instant::now();
    let root = context.create(NewJob::new("nightly crawl").created_by("crawler")).await?;
    context.update(root, NewChange::new(State::Running)).await?;
    let mut batch = context.batch();
    for task in 0..TASKS {
        let pages = (task * jobs / TASKS)..((task + 1) * jobs / TASKS);
        batch.add(move |context| async move { crawl(&context, root, pages).await });
    }
    batch.parallel(TASKS as usize).run().await?;
    context.update(root, NewChange::new(State::RanToCompletion)).await?;
    let buffered = begun.elapsed();
    let stats = context.stats();
    println!("recorded {} operations in {buffered:.2?}", stats.operations);

    let known = context.get(root).await?.context("the root is in the buffer")?.node.status;
    assert_eq!((known.state, known.subtree.total), (State::Faulted, jobs));
    assert!(tracker.get(root).await?.is_none(), "the service has not heard of it yet");

    let begun = Instant::now();
    let flushed = context.commit_and_close().await?;
    println!("flushed {} jobs in {:.2?}", flushed.jobs, begun.elapsed());
    let seen = tracker.load(root).await?;
    assert_eq!((seen.state, seen.subtree), (known.state, known.subtree));
    println!(
        "root {root} is {}: {} pages, {} of them failed",
        seen.state, seen.subtree.total, seen.subtree.failed
    );
    service.stop().await;
    Ok(())
}

/// Each page runs and ends; one in a thousand fails.
async fn crawl(
    context: &JobTrackerContext,
    root: JobId,
    pages: std::ops::Range<u64>,
) -> jobtracker_context::Result<()> {
    for page in pages {
        let job = context.create(NewJob::new(format!("page {page}")).under(root)).await?;
        context.update(job, NewChange::new(State::Running)).await?;
        let end = if page % 1_000 == 0 { State::Faulted } else { State::RanToCompletion };
        context.update(job, NewChange::new(end)).await?;
    }
    Ok(())
}
