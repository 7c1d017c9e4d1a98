//! Waiting for a tree: one task works, another one waits until everything is over, without polling.

use std::time::Duration;

use anyhow::Result;
use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, State};

#[tokio::main]
async fn main() -> Result<()> {
    let service = jobtracker_examples::start().await?;
    let tracker = service.client();
    let root = tracker.create(NewJob::new("deploy")).await?.id;

    let work = tokio::spawn(deploy(tracker.clone(), root));
    let waited = tracker.wait_finished(root, Duration::from_secs(60)).await?;
    assert!(waited.reached && waited.state == State::RanToCompletion);
    let statistics = tracker.statistics(root).await?;
    println!(
        "deploy is over: {}, {} hosts, {} ms",
        waited.state,
        statistics.subtree.total,
        statistics.execution_time_ms.unwrap_or_default(),
    );
    work.await??;
    service.stop().await;
    Ok(())
}

/// Forty hosts, one after the other.
async fn deploy(tracker: JobTrackerClient, root: JobId) -> Result<()> {
    tracker.update(root, NewChange::new(State::Running)).await?;
    let hosts = (1..=40).map(|number| NewJob::new(format!("host-{number:02}"))).collect();
    let hosts = tracker.create_children(root, hosts).await?;
    tracker.update(root, NewChange::new(State::WaitingForChildrenToComplete)).await?;
    for host in hosts {
        tracker.update(host.id, NewChange::new(State::Running)).await?;
        tracker.update(host.id, NewChange::new(State::RanToCompletion)).await?;
    }
    Ok(())
}
