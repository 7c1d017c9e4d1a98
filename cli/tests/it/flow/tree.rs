use std::time::Duration;

use jobtracker_client::{Change, Job, JobId, JobTrackerClient, ListJobs, ListPage, State};
use jobtracker_flow::{
    ConstantBuilder, Flow, FlowBuilder, Recorder, Run, Snapshot, Step, StepErrorKind, StepState,
};

/// How often the first query fails.
pub struct Failing(pub u32);

pub struct SqlSummary {
    pub flow: Flow<Failing, String>,
    pub query: Step<u32>,
}

/// Eight steps: two tables are queried when access has been checked, and one report is made.
pub fn sql_summary() -> SqlSummary {
    let again = ConstantBuilder::default().with_delay(Duration::from_millis(3)).with_max_times(3);
    let mut flow = FlowBuilder::<Failing>::new("sqlSummaryJob");
    let connection =
        flow.step("GetConnection").retry(again).run(|_, ()| async { Ok("connection") });
    let access = flow.step("CheckAuth").run(|_, ()| async { Ok(()) });
    let [one, two] = ["GetTableClient1", "GetTableClient2"].map(|name| {
        flow.step(name).needs(connection).run(|_, connection| async move { Ok(connection.len()) })
    });
    let query =
        flow.step("QueryTable1").needs(one).after(access).retry(again).run(|cx, _| async move {
            if cx.attempt() <= cx.input().0 { Err("query exploded".into()) } else { Ok(1_u32) }
        });
    let other = flow
        .step("QueryTable2")
        .needs(two)
        .after(access)
        .retry(again)
        .run(|_, _| async { Ok(2_u32) });
    let summary = flow
        .step("Summarize")
        .needs((query, other))
        .run(|_, (a, b)| async move { Ok(format!("{a} and {b}")) });
    flow.step("EmailNotification").after(summary).run(|_, ()| async { Ok(()) });
    SqlSummary { flow: flow.build_with(summary).unwrap(), query }
}

pub async fn changes(client: &JobTrackerClient, job: JobId) -> Vec<Change> {
    client.changes(job, ListPage::default()).await.unwrap().items
}

/// The states that a job has reported, with reasons and messages.
pub async fn told(client: &JobTrackerClient, job: JobId) -> Vec<String> {
    let change = |change: &Change| {
        let reason = change.reason_code.as_deref().unwrap_or("-");
        format!("{} {reason} {}", change.state, change.message.as_deref().unwrap_or("-"))
    };
    changes(client, job).await.iter().map(change).collect()
}

pub async fn children(client: &JobTrackerClient, job: JobId) -> Vec<Job> {
    client.children(job, ListJobs::default()).await.unwrap().items
}

pub fn named<'a>(jobs: &'a [Job], name: &str) -> &'a Job {
    jobs.iter().find(|job| job.name == name).unwrap()
}

/// Waits until a run has been recorded, and compares its tree with it.
pub async fn check<In, Out>(
    client: &JobTrackerClient,
    recorder: &Recorder,
    run: &Run<In, Out>,
) -> Job
where
    In: Send + Sync + 'static,
    Out: Send + Sync + 'static,
{
    recorder.flush().await.unwrap();
    let snapshot = run.snapshot();
    assert!(snapshot.is_over);
    let job = client.load(recorder.job(run.id()).unwrap()).await.unwrap();
    assert_eq!(job.name, *snapshot.flow);
    let wanted = if snapshot.error.is_none() { State::RanToCompletion } else { State::Faulted };
    assert_eq!(job.state, wanted, "{:?}", told(client, job.id).await);
    // All ended steps are counted, in any end of the run.
    let done = job.children.successful + job.children.failed;
    assert_eq!((done, job.children.pending), (snapshot.steps.len() as u64, 0));
    check_steps(client, job.id, &snapshot).await;
    job
}

async fn check_steps(client: &JobTrackerClient, run: JobId, snapshot: &Snapshot) {
    let jobs = children(client, run).await;
    assert_eq!(jobs.len(), snapshot.steps.len());
    for (job, step) in jobs.iter().zip(&snapshot.steps) {
        let changes = changes(client, job.id).await;
        let states: Vec<State> = changes.iter().map(|change| change.state).collect();
        let mut wanted = vec![State::WaitingToRun];
        if step.attempts > 0 {
            wanted.push(State::Running);
            wanted.extend(vec![State::Warning; step.retried.len()]);
        }
        wanted.push(if step.state.is_success() { State::RanToCompletion } else { State::Faulted });
        assert_eq!((&job.name, states), (&step.name.to_string(), wanted));
        let reason = changes.last().unwrap().reason_code.as_deref();
        let wanted = match (&step.error, step.state) {
            (None, StepState::Reused) => Some("reused"),
            (None, _) => None,
            (Some(error), _) => Some(match &error.kind {
                StepErrorKind::Failed(_) => "failed",
                StepErrorKind::Panicked(_) => "panicked",
                StepErrorKind::TimedOut(_) => "timeout",
                StepErrorKind::Skipped { .. } => "skipped",
                StepErrorKind::Cancelled(_) => "cancelled",
                other => panic!("{other:?}"),
            }),
        };
        assert_eq!(reason, wanted, "{}", job.name);
    }
}
