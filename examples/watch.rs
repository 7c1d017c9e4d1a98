//! Watching a tree: what happens is told while it happens, and a watch that lost its connection
//! goes on where it was.

use anyhow::{Context, Result};
use futures_util::StreamExt;
use jobtracker_client::{
    EventKind, JobId, JobTrackerClient, LiveEvent, NewChange, NewJob, Occurrence, State,
    WatchFilter, Watched,
};

#[tokio::main]
async fn main() -> Result<()> {
    let service = jobtracker_examples::start().await?;
    let tracker = service.client();
    let root = tracker.create(NewJob::new("nightly build")).await?.id;

    let kinds = Some(vec![EventKind::Created, EventKind::State, EventKind::Changed]);
    let mut watch = tracker.watch_tree(root, WatchFilter { kinds, ..WatchFilter::default() });
    // The first row says that it has begun.
    let first = watch.next().await.context("a watch has no end")??;
    assert!(matches!(first, Watched::Row(row) if row.state == State::WaitingToRun));

    let work = tokio::spawn(build(tracker.clone(), root));
    let mut is_over = false;
    while !is_over {
        match watch.next().await.context("a watch has no end")?? {
            Watched::Row(row) => {
                println!("{} of {} done", row.subtree.successful, row.subtree.total);
            }
            Watched::Event(LiveEvent { id, what, .. }) => match what {
                Occurrence::Created { name, .. } => println!("{id} is {name}"),
                Occurrence::Changed { change, .. } => println!("{id} says {}", change.state),
                Occurrence::State { state, .. } => {
                    println!("{id} is {state} now");
                    is_over = id == root && state.is_finished();
                }
                _ => {}
            },
            Watched::Gap(gap) => println!("{} events are missing", gap.count.unwrap_or_default()),
            _ => {}
        }
    }
    println!("all told up to {}", watch.position().context("events have positions")?);
    work.await??;
    service.stop().await;
    Ok(())
}

async fn build(tracker: JobTrackerClient, root: JobId) -> Result<()> {
    tracker.update(root, NewChange::new(State::Running)).await?;
    for name in ["compile", "test", "package"] {
        let step = tracker.create(NewJob::new(name).under(root)).await?.id;
        tracker.update(step, NewChange::new(State::Running)).await?;
        tracker.update(step, NewChange::new(State::RanToCompletion)).await?;
    }
    tracker.update(root, NewChange::new(State::RanToCompletion)).await?;
    Ok(())
}
