//! A root and two children, and what readers see after each step, by the rules of the roll-up.

use anyhow::Result;
use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, State};

#[tokio::main]
async fn main() -> Result<()> {
    let service = jobtracker_examples::start().await?;
    let tracker = service.client();

    let root = tracker.create(NewJob::new("report")).await?.id;
    let first = tracker.create(NewJob::new("collect").under(root)).await?.id;
    let second = tracker.create(NewJob::new("render").under(root)).await?.id;
    show(&tracker, root, "three jobs are created", State::WaitingToRun, [2, 0, 0]).await?;

    tracker.update(root, NewChange::new(State::Running)).await?;
    show(&tracker, root, "the root runs", State::Running, [2, 0, 0]).await?;

    tracker.update(root, NewChange::new(State::RanToCompletion)).await?;
    let waits = State::WaitingForChildrenToComplete;
    show(&tracker, root, "its own work is over, its children's is not", waits, [2, 0, 0]).await?;

    tracker.update(first, NewChange::new(State::Running)).await?;
    tracker.update(first, NewChange::new(State::RanToCompletion)).await?;
    show(&tracker, root, "one child has done well", waits, [1, 1, 0]).await?;

    let attempt = NewChange::new(State::Warning).message("no printer, trying again");
    tracker.update(second, attempt).await?;
    show(&tracker, root, "an attempt that is repeated is a warning", waits, [1, 1, 0]).await?;

    let failure = NewChange::new(State::Faulted).message("no printer");
    tracker.update(second, failure).await?;
    show(&tracker, root, "the other child has failed, so has the root", State::Faulted, [0, 1, 1])
        .await?;

    let late = tracker.update(second, NewChange::new(State::RanToCompletion)).await?;
    assert!(!late.applied && late.state == State::Faulted);
    show(&tracker, root, "a finished job takes no more updates", State::Faulted, [0, 1, 1]).await?;

    let again = tracker.create(NewJob::new("render once more").under(root)).await?.id;
    show(&tracker, root, "a new child opens the finished root", waits, [1, 1, 1]).await?;

    tracker.update(again, NewChange::new(State::RanToCompletion)).await?;
    show(&tracker, root, "a failed child stays failed", State::Faulted, [0, 2, 1]).await?;

    service.stop().await;
    Ok(())
}

/// Prints the root, and makes sure that it is what the rules say.
async fn show(
    tracker: &JobTrackerClient,
    root: JobId,
    what: &str,
    state: State,
    children: [u64; 3],
) -> Result<()> {
    let job = tracker.load(root).await?;
    let seen = [job.children.pending, job.children.successful, job.children.failed];
    let [pending, successful, failed] = seen;
    println!("{what:<45} {state:<28} {pending} pending, {successful} successful, {failed} failed");
    assert_eq!((job.state, seen), (state, children), "after: {what}");
    assert_eq!(job.subtree.total, children.iter().sum::<u64>());
    Ok(())
}
