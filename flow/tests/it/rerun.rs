//! Behaviours 40 to 44: running again what has not succeeded.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_flow::{
    Flow, FlowBuilder, Rerun, RerunError, RunOptions, Step,
    StepState::{Failed, Reused, Skipped, Succeeded},
};
use parking_lot::Mutex;

use crate::support::{boom, pause, states};

type Calls = Arc<Mutex<BTreeMap<&'static str, u32>>>;

struct Graph {
    flow: Flow<u32, u32>,
    a: Step<u32>,
    b: Step<u32>,
    calls: Calls,
}

/// `a` feeds `b` and `c`, and `d` comes after both; `b` fails until its input's number of calls.
fn graph() -> Graph {
    let calls = Calls::default();
    let count = |name: &'static str| {
        let calls = Arc::clone(&calls);
        move || {
            let mut calls = calls.lock();
            let calls = calls.entry(name).or_default();
            *calls += 1;
            *calls
        }
    };
    let mut flow = FlowBuilder::<u32>::new("graph");
    let (call_a, call_b, call_c, call_d) = (count("a"), count("b"), count("c"), count("d"));
    let a = flow.step("a").run(move |_, ()| {
        let call = call_a();
        async move { Ok(call * 10) }
    });
    let b = flow.step("b").needs(a).run(move |cx, a| {
        let call = call_b();
        async move { if call < **cx.input() { boom(call) } else { Ok(*a + call) } }
    });
    let c = flow.step("c").needs(a).run(move |_, a| {
        let call = call_c();
        async move { Ok(*a + call) }
    });
    let d = flow.step("d").needs((b, c)).run(move |_, (b, c)| {
        call_d();
        async move { Ok(*b * 1_000 + *c) }
    });
    Graph { flow: flow.build_with(d).unwrap(), a, b, calls }
}

fn calls(graph: &Graph) -> Vec<u32> {
    ["a", "b", "c", "d"].map(|name| graph.calls.lock().get(name).copied().unwrap_or(0)).to_vec()
}

#[tokio::test]
async fn b40_what_has_no_output_runs_again() {
    let graph = graph();
    let run = graph.flow.start(2);
    run.wait().await.unwrap_err();
    assert_eq!(states(&run.snapshot()), [Succeeded, Failed, Succeeded, Skipped]);
    let again = run.rerun(Rerun::Unfinished).unwrap();
    assert_eq!(*again.result().await.unwrap(), 12_011);
    again.wait().await.unwrap();
    assert_eq!(calls(&graph), [1, 2, 1, 1]);
    assert_eq!(states(&again.snapshot()), [Reused, Succeeded, Reused, Succeeded]);
    let [one, two] = [run.output(graph.a).await.unwrap(), again.output(graph.a).await.unwrap()];
    assert!(Arc::ptr_eq(&one, &two));
}

#[tokio::test]
async fn b41_a_step_and_what_depends_on_it_run_again() {
    let graph = graph();
    let run = graph.flow.start(1);
    assert_eq!(*run.result().await.unwrap(), 11_011);
    run.wait().await.unwrap();
    let again = run.rerun(Rerun::from(graph.b)).unwrap();
    assert_eq!(*again.result().await.unwrap(), 12_011);
    again.wait().await.unwrap();
    assert_eq!(states(&again.snapshot()), [Reused, Succeeded, Reused, Succeeded]);
    let all = again.rerun(Rerun::from(graph.a)).unwrap();
    assert_eq!(*all.result().await.unwrap(), 23_022);
    all.wait().await.unwrap();
    assert_eq!(states(&all.snapshot()), [Succeeded; 4]);
    assert_eq!(calls(&graph), [2, 3, 2, 3]);
    // Nothing is left to do: everything has its output.
    let none = all.rerun(Rerun::Unfinished).unwrap();
    none.wait().await.unwrap();
    assert_eq!(states(&none.snapshot()), [Reused; 4]);
    assert_eq!(*none.result().await.unwrap(), 23_022);
}

#[tokio::test]
async fn b42_a_rerun_is_a_run_of_its_own() {
    let graph = graph();
    let run = graph.flow.start(2);
    run.wait().await.unwrap_err();
    let before = serde_json::to_string(&run.snapshot()).unwrap();
    let again = run.rerun(Rerun::Unfinished).unwrap();
    again.wait().await.unwrap();
    assert_ne!(again.id(), run.id());
    assert_eq!(again.info().origin.as_ref(), Some(run.id()));
    assert_eq!(again.snapshot().origin.as_ref(), Some(run.id()));
    assert_eq!(run.info().origin, None);
    assert_eq!(serde_json::to_string(&run.snapshot()).unwrap(), before);
    assert!(run.wait().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn b43_a_run_at_work_is_not_run_again() {
    let mut flow = FlowBuilder::<()>::new("slow");
    let slow = flow.step("slow").run(|_, ()| async {
        pause(100).await;
        Ok(())
    });
    let flow = flow.build().unwrap();
    let run = flow.start(());
    assert_eq!(run.rerun(Rerun::Unfinished).unwrap_err(), RerunError::NotFinished);
    run.wait().await.unwrap();
    run.rerun(Rerun::from(slow)).unwrap().wait().await.unwrap();
    let foreign = graph().a;
    assert_eq!(run.rerun(Rerun::from(foreign)).unwrap_err(), RerunError::ForeignStep);
}

#[tokio::test]
async fn b44_a_rerun_can_be_run_again() {
    let graph = graph();
    let first = graph.flow.start_with(3, RunOptions::new().id("first"));
    first.wait().await.unwrap_err();
    let second = first.rerun_with(Rerun::Unfinished, RunOptions::new().id("second")).unwrap();
    second.wait().await.unwrap_err();
    assert_eq!(states(&second.snapshot()), [Reused, Failed, Reused, Skipped]);
    let third = second.rerun(Rerun::Unfinished).unwrap();
    assert_eq!(*third.result().await.unwrap(), 13_011);
    assert_eq!(
        (third.info().origin.as_ref(), &third.info().first),
        (Some(second.id()), first.id())
    );
    assert_eq!(calls(&graph), [1, 3, 1, 1]);
}
