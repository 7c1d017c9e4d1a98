//! Behaviours 21 to 27: attempts.

use std::sync::Arc;

use jobtracker_flow::{
    ConstantBuilder, ExponentialBuilder, Flow, FlowBuilder, Rerun, RunOptions, Step, StepErrorKind,
    StepState,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::{Boom, Journal, Tally, boom, ms, pause, states};

fn again(delay: u64, times: usize) -> ConstantBuilder {
    ConstantBuilder::default().with_delay(ms(delay)).with_max_times(times)
}

/// A step that fails until its `good`th call.
fn flaky(good: u32, seen: &Arc<Mutex<Vec<u32>>>) -> (Flow<(), u32>, Step<u32>) {
    let seen = Arc::clone(seen);
    let mut flow = FlowBuilder::<()>::new("flaky");
    let step = flow.step("flaky").retry(again(3, 3)).run(move |cx, ()| {
        seen.lock().push(cx.attempt());
        async move { if cx.attempt() < good { boom(cx.attempt()) } else { Ok(cx.attempt()) } }
    });
    (flow.build_with(step).unwrap(), step)
}

#[tokio::test(start_paused = true)]
async fn b21_attempts_are_counted() {
    let seen = Arc::default();
    let run = flaky(99, &seen).0.start(());
    let error = run.wait().await.unwrap_err();
    assert_eq!((error.step().unwrap().attempts, seen.lock().len()), (4, 4));
    assert_eq!(error.downcast_ref::<Boom>(), Some(&Boom(4)));
    assert_eq!(run.snapshot().steps[0].attempts, 4);
    let retried = run.snapshot().steps[0].retried.clone();
    let retried: Vec<_> = retried.iter().map(|attempt| attempt.error.as_str()).collect();
    assert_eq!(retried, ["failed: boom 1", "failed: boom 2", "failed: boom 3"]);

    let (seen, journal) = (Arc::default(), Arc::new(Journal::default()));
    let (flow, _) = flaky(3, &seen);
    let run = flow.start_with((), RunOptions::new().observer(journal.clone()));
    assert_eq!(*run.result().await.unwrap(), 3);
    assert_eq!(*seen.lock(), [1, 2, 3]);
    let snapshot = run.snapshot();
    assert_eq!((snapshot.steps[0].state, snapshot.steps[0].attempts), (StepState::Succeeded, 3));
    run.wait().await.unwrap();
    assert_eq!(
        journal.of("flaky"),
        [
            "starts 1",
            "retries after 1 in 3ms",
            "starts 2",
            "retries after 2 in 3ms",
            "starts 3",
            "is Succeeded after 3"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn b22_the_rule_of_a_step_ends_its_attempts() {
    let calls = Tally::default();
    let tally = calls.clone();
    let mut flow = FlowBuilder::<()>::new("final");
    flow.step("final")
        .retry(again(3, 9))
        .retry_if(|error| error.downcast_ref::<Boom>().is_some_and(|boom| boom.0 < 2))
        .run(move |_, ()| {
            let call = tally.add();
            async move { boom::<()>(call) }
        });
    let error = flow.build().unwrap().run(()).await.unwrap_err();
    assert_eq!((calls.get(), error.downcast_ref::<Boom>()), (2, Some(&Boom(2))));
}

#[tokio::test(start_paused = true)]
async fn b23_a_panic_is_tried_again_only_if_the_rule_says_so() {
    for (rule, wanted) in [(false, 1), (true, 3)] {
        let calls = Tally::default();
        let tally = calls.clone();
        let mut flow = FlowBuilder::<()>::new("panics");
        let mut step = flow.step("panics").retry(again(3, 2));
        if rule {
            step = step.retry_if(|error| matches!(error.kind, StepErrorKind::Panicked(_)));
        }
        step.run(move |_, ()| {
            tally.add();
            async { if true { panic!("no") } else { Ok(()) } }
        });
        let error = flow.build().unwrap().run(()).await.unwrap_err();
        assert_eq!((calls.get(), error.root().unwrap().code()), (wanted, "panicked"));
    }
}

#[tokio::test(start_paused = true)]
async fn b24_a_pause_ends_when_the_run_is_cancelled() {
    let mut flow = FlowBuilder::<()>::new("pause");
    let step = flow.step("pause").retry(again(10_000, 3)).run(|_, ()| async { boom::<()>(1) });
    let run = flow.build().unwrap().start(());
    pause(100).await;
    assert_eq!(states(&run.snapshot()), [StepState::Running]);
    let begin = Instant::now();
    run.cancel();
    let error = run.wait().await.unwrap_err();
    assert!(begin.elapsed() < ms(50));
    assert_eq!((error.code(), states(&run.snapshot())[0]), ("cancelled", StepState::Cancelled));
    // What the attempt before it said is not lost.
    assert_eq!(error.downcast_ref::<Boom>(), Some(&Boom(1)));
    assert_eq!(run.output(step).await.unwrap_err().step().unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn b25_a_pause_takes_no_room_in_the_limit() {
    let mut flow = FlowBuilder::<()>::new("room");
    let log = Arc::new(Mutex::new(Vec::new()));
    for (name, fails) in [("first", true), ("second", false), ("third", false)] {
        let log = Arc::clone(&log);
        flow.step(name).retry(again(10, 1)).run(move |cx, ()| {
            log.lock().push(format!("{name} {}", cx.attempt()));
            async move {
                pause(8).await;
                if fails && cx.attempt() == 1 { boom(1) } else { Ok(()) }
            }
        });
    }
    let flow = flow.build().unwrap();
    let run = flow.start_with((), RunOptions::new().max_concurrency(1));
    run.wait().await.unwrap();
    // The pause ends while the third is at work, and the first begins when that has ended.
    assert_eq!(*log.lock(), ["first 1", "second 1", "third 1", "first 2"]);
}

/// On one thread, and without a limit: what has failed without waiting still lets others by.
#[tokio::test(start_paused = true)]
async fn b25_a_pause_holds_up_no_other_step() {
    let mut flow = FlowBuilder::<()>::new("by");
    flow.step("first").retry(again(1_000, 1)).run(|_, ()| async { boom::<()>(1) });
    let second = flow.step("second").run(|_, ()| async { Ok(()) });
    let run = flow.build_with(second).unwrap().start(());
    let begin = Instant::now();
    run.result().await.unwrap();
    assert!(begin.elapsed() < ms(500));
    assert_eq!(run.snapshot().steps[0].state, StepState::Running);
    run.wait().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn b26_the_clock_of_tokio_drives_pauses() {
    let wall = std::time::Instant::now();
    let backoff = ExponentialBuilder::default()
        .with_min_delay(ms(3_600_000))
        .with_max_delay(ms(86_400_000))
        .with_max_times(5);
    let mut flow = FlowBuilder::<()>::new("hours");
    flow.step("hours").retry(backoff).timeout(ms(60_000)).run(|cx, ()| async move {
        if cx.attempt() < 4 {
            pause(3_600_000).await;
        }
        Ok(())
    });
    let begin = Instant::now();
    flow.build().unwrap().run(()).await.unwrap();
    assert_eq!(begin.elapsed().as_secs() / 60, 3 + 60 + 120 + 240);
    assert!(wall.elapsed().as_secs() < 3_600);
}

#[tokio::test(start_paused = true)]
async fn b27_a_key_is_that_of_the_step_in_this_run_and_those_that_continue_it() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let mut flow = FlowBuilder::<()>::new("keys");
    for name in ["a", "b"] {
        let keys = Arc::clone(&keys);
        flow.step(name).retry(again(1, 1)).run(move |cx, ()| {
            keys.lock().push(cx.key());
            async { boom::<()>(1) }
        });
    }
    let flow = flow.build().unwrap();
    let run = flow.start_with((), RunOptions::new().id("monday"));
    run.wait().await.unwrap_err();
    let rerun = run.rerun(Rerun::Unfinished).unwrap();
    rerun.wait().await.unwrap_err();
    rerun.rerun(Rerun::Unfinished).unwrap().wait().await.unwrap_err();
    let mut seen = std::mem::take(&mut *keys.lock());
    assert_eq!(seen.len(), 12);
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["monday/a", "monday/b"]);
    flow.start(()).wait().await.unwrap_err();
    assert!(keys.lock().iter().all(|key| !seen.contains(key)));
}
