//! Behaviours 48, 51 and 52 of flows: the trees.

use std::{sync::Arc, time::Duration};

use jobtracker_client::{NewJob, State};
use jobtracker_context::JobTrackerContext;
use jobtracker_flow::{Flow, FlowBuilder, OnFailure, Recorder, Rerun, RunOptions, StepErrorKind};
use jobtracker_server::StoreKind;

use super::tree::{Failing, changes, check, children, named, sql_summary, told};
use crate::harness::Harness;

#[tokio::test]
async fn b48_a_run_is_a_tree() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let tracker = Arc::new(client.clone());
    let recorder = Arc::new(Recorder::new(tracker).created_by("reports").tag("nightly"));
    let summary = sql_summary();
    let options = || RunOptions::new().observer(recorder.clone());

    let run = summary.flow.start_with(Failing(99), options().id("monday"));
    run.wait().await.unwrap_err();
    let job = check(&client, &recorder, &run).await;
    assert_eq!((&*job.created_by, &*job.tags), ("reports", &["nightly".into(), "flow".into()][..]));
    let steps = children(&client, job.id).await;
    // All were created before the first one began.
    let begun = changes(&client, job.id).await[1].time;
    assert!(steps.iter().all(|step| step.create_time <= begun));
    let query = "attempt 1 failed: query exploded; attempt 2 in 3ms";
    let told_of = async |name: &str| told(&client, named(&steps, name).id).await;
    assert_eq!(
        told_of("QueryTable1").await,
        [
            "WaitingToRun - -".to_owned(),
            "Running - -".to_owned(),
            format!("Warning retry {query}"),
            "Warning retry attempt 2 failed: query exploded; attempt 3 in 3ms".to_owned(),
            "Warning retry attempt 3 failed: query exploded; attempt 4 in 3ms".to_owned(),
            "Faulted failed attempt 4 failed: query exploded".to_owned(),
        ]
    );
    let root = "step \"QueryTable1\" failed: query exploded";
    assert_eq!(told_of("Summarize").await[1], format!("Faulted skipped skipped: {root}"));
    let skipped = format!("Faulted skipped skipped: it waited for step \"Summarize\", and {root}");
    assert_eq!(told_of("EmailNotification").await[1], skipped);
    assert_eq!(told(&client, job.id).await[2], format!("Faulted failed {root}"));
    let options_of = named(&steps, "QueryTable1").options.clone().unwrap();
    let options_of: serde_json::Value = serde_json::from_str(&options_of).unwrap();
    assert_eq!(options_of["needs"], serde_json::json!(["GetTableClient1"]));
    assert_eq!(options_of["after"], serde_json::json!(["CheckAuth"]));
    let snapshot = run.snapshot();
    for (key, picture) in [
        ("flow.dot", snapshot.to_dot()),
        ("flow.mmd", snapshot.to_mermaid()),
        ("flow-gantt.mmd", snapshot.to_gantt()),
    ] {
        assert_eq!(client.attachment(job.id, key).await.unwrap(), picture);
    }

    let good = summary.flow.start_with(Failing(2), options());
    assert_eq!(*good.result().await.unwrap(), "1 and 2");
    good.wait().await.unwrap();
    let good = check(&client, &recorder, &good).await;
    assert_eq!((good.state, good.subtree.successful), (State::RanToCompletion, 8));
    assert_eq!((recorder.stats().given_up, recorder.stats().turned_away), (0, 0));
    harness.stop().await;
}

#[tokio::test]
async fn b48_a_context_records_the_same_tree() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let context = JobTrackerContext::new(Arc::new(client.clone())).unwrap();
    let recorder = Arc::new(Recorder::buffered(context.clone()));
    let summary = sql_summary();
    let run = summary.flow.start_with(Failing(99), RunOptions::new().observer(recorder.clone()));
    run.wait().await.unwrap_err();
    check(&client, &recorder, &run).await;
    context.commit_and_close().await.unwrap();
    harness.stop().await;
}

/// A flow whose step runs another one.
fn nested() -> FlowBuilder<Arc<super::tree::SqlSummary>> {
    let mut outer = FlowBuilder::new("outer");
    let child = outer.step("child").run(
        |cx: jobtracker_flow::Cx<Arc<super::tree::SqlSummary>>, ()| async move {
            let run = cx.input().flow.start_with(Failing(1), cx.child());
            run.wait().await?;
            Ok(run.id().clone())
        },
    );
    outer.step("after").after(child).run(|_, ()| async { Ok(()) });
    outer
}

#[tokio::test]
async fn b51_a_run_in_a_step_is_below_it() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let recorder = Arc::new(Recorder::new(Arc::new(client.clone())));
    let above = client.create(NewJob::new("above")).await.unwrap().id;
    let flow = nested().build().unwrap();
    let options = RunOptions::new().observer(recorder.clone()).parent(above);
    let run = flow.start_with(Arc::new(sql_summary()), options);
    run.wait().await.unwrap();
    recorder.flush().await.unwrap();
    let outer = client.load(recorder.job(run.id()).unwrap()).await.unwrap();
    assert_eq!((outer.parent, outer.state), (Some(above), State::RanToCompletion));
    assert_eq!((outer.subtree.total, outer.subtree.successful), (2 + 1 + 8, 11));
    let steps = children(&client, outer.id).await;
    let inner = children(&client, named(&steps, "child").id).await;
    assert_eq!((inner.len(), &*inner[0].name), (1, "sqlSummaryJob"));
    harness.stop().await;
}

fn endings() -> Flow<u32> {
    let mut flow = FlowBuilder::<u32>::new("endings");
    let first = flow.step("first").run(|cx, ()| async move {
        match **cx.input() {
            0 => Ok(()),
            1 => Err("no".into()),
            2 => panic!("ouch"),
            _ => {
                cx.cancelled().await;
                Err("told to end".into())
            }
        }
    });
    flow.step("slow").timeout(Duration::from_millis(5)).run(|cx, ()| async move {
        if **cx.input() == 4 {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    flow.step("second").after(first).run(|_, ()| async { Ok(()) });
    flow.build().unwrap()
}

#[tokio::test]
async fn b51_what_is_done_reaches_the_total_on_every_outcome() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let recorder = Arc::new(Recorder::new(Arc::new(client.clone())));
    let flow = endings();
    let deadline = Duration::from_millis(50);
    let reasons = ["-", "failed", "failed", "timeout", "failed"];
    for (input, reason) in reasons.into_iter().enumerate() {
        let options = RunOptions::new().observer(recorder.clone()).grace(deadline);
        let options = options.on_failure(OnFailure::FailFast);
        let options = if input == 3 { options.deadline(deadline) } else { options };
        let run = flow.start_with(input as u32, options);
        let _ = run.wait().await;
        let job = check(&client, &recorder, &run).await;
        let last = changes(&client, job.id).await.pop().unwrap();
        assert_eq!(last.reason_code.as_deref().unwrap_or("-"), reason, "{last:?}");
    }
    let run = flow.start_with(3_u32, RunOptions::new().observer(recorder.clone()));
    run.cancel();
    let error = run.wait().await.unwrap_err();
    assert!(matches!(error.step().unwrap().kind, StepErrorKind::Cancelled(_)));
    let job = check(&client, &recorder, &run).await;
    let told = told(&client, job.id).await;
    assert!(told.last().unwrap().starts_with("Faulted cancelled "), "{told:?}");
    harness.stop().await;
}

#[tokio::test]
async fn b52_a_rerun_says_what_it_continues() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let recorder = Arc::new(Recorder::new(Arc::new(client.clone())));
    let summary = sql_summary();
    let options = RunOptions::new().observer(recorder.clone()).id("first");
    let run = summary.flow.start_with(Failing(99), options);
    run.wait().await.unwrap_err();
    let first = check(&client, &recorder, &run).await;
    let again = run.rerun(Rerun::from(summary.query)).unwrap();
    again.wait().await.unwrap_err();
    let second = check(&client, &recorder, &again).await;
    let told_of: serde_json::Value = serde_json::from_str(&second.options.unwrap()).unwrap();
    assert_eq!(
        (&told_of["origin"], &told_of["originJob"]),
        (&"first".into(), &first.id.get().into())
    );
    assert!(second.tags.contains(&"rerun".into()) && second.parent.is_none());
    let steps = children(&client, second.id).await;
    let reused = told(&client, named(&steps, "CheckAuth").id).await;
    assert_eq!(reused[1..], ["RanToCompletion reused its output is that of run first"]);
    harness.stop().await;
}
