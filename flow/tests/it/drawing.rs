//! Behaviours 45 to 47: pictures and snapshots.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_flow::{ConstantBuilder, Flow, FlowBuilder, Run, RunOptions, Snapshot, StepState};

use crate::support::{boom, ms, pause};

const AWKWARD: &str = "a \"quote\" \\ and\na line, <b>größe</b> #1; `x` %% {y}";

/// A step of each state; `slow` is Running until the run is cancelled.
fn graph() -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("every \"state\"");
    let good = flow.step(AWKWARD).run(|_, ()| async {
        pause(3).await;
        Ok(String::new())
    });
    let again = ConstantBuilder::default().with_delay(ms(2)).with_max_times(1);
    let bad = flow.step("bad").needs(good).retry(again).run(|_, _| async {
        pause(5).await;
        boom::<Vec<u8>>(1)
    });
    flow.step("skipped").needs(bad).run(|_, _| async { Ok(()) });
    let slow = flow.step("slow").after((good, bad.settled())).run(|_, ()| async {
        pause(1_000_000).await;
        Ok(())
    });
    flow.step("last").after(slow.settled()).run(|_, ()| async { Ok(()) });
    flow.build().unwrap()
}

async fn at_work(flow: &Flow<()>) -> Run<()> {
    let run = flow.start_with((), RunOptions::new().id("run 1"));
    pause(100).await;
    run
}

const DEFINITION_DOT: &str = include_str!("pictures/definition.dot");

const RUN_MERMAID: &str = include_str!("pictures/run.mmd");

const RUN_GANTT: &str = include_str!("pictures/run-gantt.mmd");

/// The times of day are those of the machine.
fn without_times(picture: &str) -> String {
    let mut parts = picture.split("started: ");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push_str("started: BEGIN");
        out.push_str(&part["2026-11-21T09:30:00.125Z".len()..]);
    }
    out
}

#[tokio::test(start_paused = true)]
async fn b45_pictures_are_the_same_each_time_and_escaped() {
    let flow = graph();
    assert_eq!(flow.to_dot(), DEFINITION_DOT);
    assert_eq!(flow.clone().to_dot(), graph().to_dot());
    assert_eq!(flow.to_mermaid(), graph().to_mermaid());
    let run = at_work(&flow).await;
    let snapshot = run.snapshot();
    assert_eq!(without_times(&snapshot.to_mermaid()), RUN_MERMAID);
    assert_eq!(snapshot.to_gantt(), RUN_GANTT);
    assert_eq!(snapshot.to_mermaid(), run.snapshot().to_mermaid());
    assert_eq!(snapshot.to_dot(), run.snapshot().to_dot());
}

/// The attributes of the node of a step.
fn node(dot: &str, step: usize) -> &str {
    let begin = format!("  s{step} [");
    dot.lines().find(|line| line.starts_with(&begin)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn b46_times_and_colours_are_those_of_the_run() {
    let flow = graph();
    for picture in [flow.to_dot(), flow.to_mermaid()] {
        assert!(!picture.contains("started") && !picture.contains("state: "), "{picture}");
    }
    let run = at_work(&flow).await;
    run.cancel();
    run.wait().await.unwrap_err();
    let again = run.rerun(jobtracker_flow::Rerun::Unfinished).unwrap();
    let mut seen = BTreeMap::new();
    for snapshot in [run.snapshot(), again.snapshot()] {
        let dot = snapshot.to_dot();
        for (index, step) in snapshot.steps.iter().enumerate() {
            let node = node(&dot, index);
            assert_eq!(node.contains("started: "), step.started.is_some(), "{node}");
            assert_eq!(node.contains("duration: "), step.started.is_some(), "{node}");
            assert_eq!(node.contains("attempts: "), step.started.is_some(), "{node}");
            let colour = node.split("fillcolor=").nth(1).unwrap().split(',').next().unwrap();
            let old = seen.insert(colour.to_owned(), step.state);
            assert!(old.is_none_or(|state| state == step.state), "{colour} is that of two states");
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

fn check_counts(snapshot: &Snapshot) {
    let counts = snapshot.counts();
    let sum = counts.pending
        + counts.running
        + counts.succeeded
        + counts.failed
        + counts.skipped
        + counts.cancelled
        + counts.reused;
    assert_eq!((counts.total, sum), (300, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b47_snapshots_hold_up_nothing_and_never_go_back() {
    let mut flow = FlowBuilder::<()>::new("watched");
    let mut layer = Vec::new();
    for i in 0..300_u32 {
        let after = if i % 10 == 0 { std::mem::take(&mut layer) } else { Vec::new() };
        layer.push(flow.step(format!("{i}")).after(after).run(move |_, ()| async move {
            for _ in 0..i % 7 {
                tokio::task::yield_now().await;
            }
            if i % 50 == 49 { boom(i) } else { Ok(()) }
        }));
    }
    let flow = Arc::new(flow.build().unwrap());
    let rank = |state: StepState| u8::from(state != StepState::Pending) + u8::from(state.is_over());
    let mut taken = 0;
    while taken < 1_000 {
        let run = flow.start(());
        let mut ranks = vec![0; 300];
        loop {
            let snapshot = run.snapshot();
            taken += 1;
            check_counts(&snapshot);
            for (rank_before, step) in ranks.iter_mut().zip(&snapshot.steps) {
                let now = rank(step.state);
                assert!(*rank_before <= now, "{step:?}");
                assert_eq!(step.error.is_some(), step.state.is_over() && !step.state.is_success());
                *rank_before = now;
            }
            if snapshot.is_over {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
