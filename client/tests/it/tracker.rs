use std::sync::Arc;

use futures_util::TryStreamExt;
use jobtracker_client::{Job, JobTracker, ListJobs, Lists, ProblemCode, Result};

use crate::{
    canned::{id, job, json, page, problem},
    stub,
};

/// What a service would do with the tracker that it was given.
async fn names(tracker: Arc<dyn Lists>) -> Result<Vec<String>> {
    let jobs: Vec<Job> = tracker.children_stream(id(9), ListJobs::default()).try_collect().await?;
    Ok(jobs.into_iter().map(|job| job.name).collect())
}

#[tokio::test]
async fn services_can_hold_any_tracker_and_move_it_between_tasks() {
    let server = stub::answering(json(page(vec![job(1), job(2)], None))).await;
    let tracker: Arc<dyn JobTracker> = Arc::new(stub::client(&server));
    // A part is asked for, and a whole tracker is each of its parts.
    let names = tokio::spawn(names(tracker)).await.unwrap().unwrap();
    assert_eq!(names, ["job 1", "job 2"]);
}

#[tokio::test]
async fn a_job_that_may_be_absent() {
    let answers = [
        json(job(7)),
        problem(ProblemCode::JobNotFound),
        problem(ProblemCode::JobNotFound),
        problem(ProblemCode::Internal),
        problem(ProblemCode::RouteNotFound),
    ];
    let server = stub::answering_in_turn(answers).await;
    let client = stub::client(&server);
    assert_eq!(client.get(id(7)).await.unwrap(), Some(job(7)));
    assert_eq!(client.get(id(7)).await.unwrap(), None);
    assert!(client.load(id(7)).await.unwrap_err().is_not_found());
    assert!(client.get(id(7)).await.is_err());
    // The wrong address is not an absent job.
    assert!(client.get(id(7)).await.is_err());
}
