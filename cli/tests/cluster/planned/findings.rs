//! What has to hold when everything has ended.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jobtracker_client::{
    Job, JobId, JobTrackerClient, RootsQuery, State, Timestamp,
    schedule::{Firing, FiringOutcome},
};

use super::{
    fence::Attempts,
    plan::{Planned, SHARDS},
};
use crate::inventory::Inventory;

/// What there was, for people.
#[derive(Debug, Default)]
pub struct Findings {
    pub planned: usize,
    pub runs: usize,
    pub skipped: u64,
    pub misfired: u64,
    pub jobs: usize,
    /// How long a planned time had no firing, at most: that long no server looked after it.
    pub latest_ms: i64,
}

/// Waits until schedules are past their last times and no run is open.
pub async fn settled(client: &JobTrackerClient, all: &[Planned]) {
    for planned in all {
        loop {
            let schedule = client.schedule(planned.name()).await.unwrap();
            let is_open = !schedule.running.is_empty() || schedule.queued > 0;
            if schedule.next.is_none() && !is_open {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// Each planned time has one firing, each started run one tree with one end, each tree the numbers
/// of the naive model, and each success an attempt that was the last one of its task.
pub async fn check(
    client: &JobTrackerClient,
    prefix: &str,
    begin: Timestamp,
    all: &[Planned],
    attempts: &Attempts,
) -> Findings {
    assert_eq!(attempts.wrong, Vec::<String>::new());
    let mut findings = Findings::default();
    let mut runs: BTreeMap<JobId, &Planned> = BTreeMap::new();
    let mut states: BTreeMap<JobId, State> = BTreeMap::new();
    for planned in all {
        let mut firings = client.firings(planned.name()).await.unwrap();
        firings.reverse();
        assert_each_time_once(planned, &firings);
        let late = firings.iter().map(|firing| firing.time.millis() - firing.planned.millis());
        findings.latest_ms = findings.latest_ms.max(late.max().unwrap_or(0));
        let started = firings.iter().filter(|firing| firing.start_time.is_some());
        for firing in started {
            let run = firing.run().expect("what was started has a run");
            assert!(runs.insert(run, planned).is_none(), "one run of two firings: {run}");
            states.insert(run, firing.state.expect("it has ended"));
        }
        let statistics = client.schedule(planned.name()).await.unwrap().statistics;
        let ended = statistics.succeeded + statistics.failed;
        let started = firings.iter().filter(|firing| firing.start_time.is_some()).count() as u64;
        assert_eq!((statistics.runs, ended), (started, started), "{}", planned.name());
        findings.planned += planned.times.len();
        findings.skipped += statistics.skipped;
        findings.misfired += statistics.misfired;
    }
    let roots = roots(client, prefix, begin).await;
    assert_eq!(roots, runs.keys().copied().collect::<Vec<_>>(), "one tree for each started run");
    findings.runs = runs.len();
    let found = Inventory::read(client, &roots).await;
    for job in &found.jobs {
        let planned = runs[&job.root];
        if job.id == job.root {
            assert_eq!(job.state, states[&job.id], "run {}", job.id);
            let shards = planned.schedule.definition.sharding.children();
            assert!([0, SHARDS].contains(&shards) && job.subtree.total == u64::from(shards));
        }
        assert_story(job, &found, planned, attempts);
    }
    findings.jobs = found.jobs.len();
    findings
}

fn assert_each_time_once(planned: &Planned, firings: &[Firing]) {
    let (mut times, mut number) = (Vec::new(), 1);
    for firing in firings {
        assert_eq!(firing.number, number, "{}: firings have numbers in a row", planned.name());
        number += u64::from(firing.count);
        let every = planned.every();
        let next = |time: &Timestamp| Some(time.after(every));
        let covered = std::iter::successors(Some(firing.planned), next);
        let covered: Vec<_> = covered.take(firing.count as usize).collect();
        assert_eq!(covered.last(), Some(&firing.until.unwrap_or(firing.planned)));
        times.extend(covered);
        let is_run =
            matches!(firing.outcome, FiringOutcome::Started { .. } | FiringOutcome::Queued { .. });
        assert_eq!(is_run, firing.start_time.is_some(), "{}: {firing:?}", planned.name());
    }
    assert_eq!(times, planned.times, "{}: each planned time has one firing", planned.name());
}

/// All trees that the schedules have made.
async fn roots(client: &JobTrackerClient, prefix: &str, begin: Timestamp) -> Vec<JobId> {
    let name_prefix = Some(format!("{prefix}-"));
    let query = RootsQuery { from: Some(begin), name_prefix, ..RootsQuery::default() };
    let all: Vec<Job> = client.roots_stream(query).try_collect().await.unwrap();
    let mut ours: Vec<_> = all.into_iter().map(|root| root.id).collect();
    ours.sort();
    ours
}

/// A job with a task has been claimed again only after the attempt before was over, has ended once,
/// and only its last attempt can have succeeded.
fn assert_story(job: &Job, found: &Inventory, planned: &Planned, attempts: &Attempts) {
    let story: Vec<State> = found.changes[&job.id].iter().map(|change| change.state).collect();
    let told = || format!("{} of {}: {story:?}", job.id, planned.name());
    assert!(story[story.len() - 1].is_finished(), "{}", told());
    if job.id == job.root && job.subtree.total > 0 {
        // It has said that its shards are made, and may have been replaced after that.
        return;
    }
    let ends = story.iter().filter(|state| state.is_finished()).count();
    assert_eq!(ends, 1, "{}", told());
    let again = story.windows(2).any(|two| two == [State::Running, State::Running]);
    assert!(!again, "{}", told());
    let claims = story.iter().filter(|state| **state == State::Running).count();
    let epoch = u32::try_from(claims).unwrap();
    match job.state {
        State::RanToCompletion => assert!(attempts.done.contains(&(job.id, epoch)), "{}", told()),
        State::Faulted => assert!(planned.replaces(), "{}", told()),
        _ => panic!("{}", told()),
    }
}
