//! Very many jobs under one root: flushed at once, read page by page, and finished one by one
//! through the API. `JOBTRACKER_MANY_JOBS=1000000` makes it a long run.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_client::{JobId, JobTrackerClient, ListJobs, NewChange, NewJob, State};
use jobtracker_context::JobTrackerContext;

use crate::process::{ANY_PORT, Process, embedded};

/// Updates under way at once.
const CLIENTS: usize = 64;

/// The highest memory use of the service, according to the kernel.
fn peak_memory(service: &Process) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id()));
    let status = status.unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("unknown").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_under_one_root() {
    let jobs = std::env::var("JOBTRACKER_MANY_JOBS").ok().and_then(|text| text.parse().ok());
    let jobs: u64 = jobs.unwrap_or(20_000);
    let data = tempfile::tempdir().unwrap();
    let service = Process::start(ANY_PORT, &embedded(data.path()));
    let tracker = Arc::new(JobTrackerClient::new(format!("http://{}", service.address())).unwrap());
    let context = JobTrackerContext::new(tracker.clone()).unwrap();
    let root = context.create(NewJob::new("root")).await.unwrap();
    context.update(root, NewChange::new(State::RanToCompletion)).await.unwrap();
    for number in 0..jobs {
        let job = context.create(NewJob::new(format!("job {number}")).under(root)).await.unwrap();
        context.update(job, NewChange::new(State::Running)).await.unwrap();
    }
    let flushed = context.commit_and_close().await.unwrap();
    assert_eq!((flushed.jobs, flushed.changes), (jobs + 1, jobs + 1));
    let after = tracker.load(root).await.unwrap();
    assert_eq!((after.subtree.running, after.children.pending), (jobs, jobs));

    // Page by page, each job once.
    let list = ListJobs::default().states([State::Running]).limit(1000);
    let pages = tracker.children_stream(root, list).map_ok(|job| job.id);
    let ids: Vec<JobId> = pages.try_collect().await.unwrap();
    assert_eq!(ids.len() as u64, jobs);
    assert!(ids.is_sorted_by(|one, other| one < other));

    let finish = |(number, id): (usize, JobId)| {
        let tracker = tracker.clone();
        async move {
            let failed = number % 1_000 == 7;
            let state = if failed { State::Faulted } else { State::RanToCompletion };
            assert!(tracker.update(id, NewChange::new(state)).await.unwrap().applied);
        }
    };
    stream::iter(ids.into_iter().enumerate()).for_each_concurrent(CLIENTS, finish).await;
    let end = tracker.load(root).await.unwrap();
    let failed = (jobs + 992) / 1_000;
    assert_eq!(end.state, State::Faulted);
    assert_eq!((end.subtree.total, end.subtree.failed), (jobs, failed));
    assert_eq!((end.subtree.running, end.subtree.waiting), (0, 0));
    assert_eq!((end.children.pending, end.children.failed), (0, failed));
    assert_eq!(end.children.successful, jobs - failed);
    println!("memory of the service at most: {}", peak_memory(&service));
    service.kill();
    let service = Process::start(ANY_PORT, &embedded(data.path()));
    assert_eq!(service.client().load(root).await.unwrap(), end);
}
