//! Behaviours 31 to 36: stopping runs.

use std::time::Duration;

use jobtracker_flow::{CancellationToken, Flow, FlowBuilder, FlowError, RunOptions, StepState};

use crate::support::{Dropped, Tally, boom, ms, pause, states};

/// Two steps that wait for ever, and one after each.
fn endless(dropped: &Tally) -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("endless");
    for name in ["a", "b"] {
        let tally = dropped.clone();
        let step = flow.step(name).run(move |_, ()| {
            let flag = Dropped(tally.clone());
            async move {
                let _flag = flag;
                pause(1_000_000_000).await;
                Ok(())
            }
        });
        flow.step(format!("after {name}")).after(step.settled()).run(|_, ()| async { Ok(()) });
    }
    flow.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn b31_a_cancelled_run_has_nothing_open() {
    let dropped = Tally::default();
    let run = endless(&dropped).start(());
    pause(10).await;
    run.cancel();
    // What has not begun is cancelled at once.
    assert_eq!(states(&run.snapshot())[1], StepState::Cancelled);
    let error = run.wait().await.unwrap_err();
    assert!(matches!(&error, FlowError::Cancelled(left) if &*left.step == "a"), "{error:?}");
    assert_eq!(states(&run.snapshot()), [StepState::Cancelled; 4]);
    assert_eq!(dropped.get(), 2);

    // Before anything has begun.
    let run = endless(&dropped).start(());
    run.cancel();
    assert_eq!(run.wait().await.unwrap_err().code(), "cancelled");
    assert_eq!(states(&run.snapshot()), [StepState::Cancelled; 4]);
    assert!(run.snapshot().steps.iter().all(|step| step.attempts == 0 && step.started.is_none()));
}

#[tokio::test(start_paused = true)]
async fn b32_a_body_has_its_grace() {
    let mut flow = FlowBuilder::<()>::new("grace");
    for (name, millis) in [("quick", 10), ("slow", 100)] {
        flow.step(name).run(move |cx, ()| async move {
            cx.cancelled().await;
            assert!(cx.is_cancelled());
            pause(millis).await;
            Ok(())
        });
    }
    flow.step("says no").run(|cx, ()| async move {
        cx.cancelled().await;
        boom::<()>(4)
    });
    let flow = flow.build().unwrap();
    let run = flow.start_with((), RunOptions::new().grace(ms(50)));
    pause(1).await;
    run.cancel();
    let error = run.wait().await.unwrap_err();
    use StepState::{Cancelled, Succeeded};
    assert_eq!(states(&run.snapshot()), [Succeeded, Cancelled, Cancelled]);
    assert!(matches!(&error, FlowError::Cancelled(left) if &*left.step == "slow"), "{error:?}");
    let said = run.snapshot().steps[2].error.clone().unwrap();
    assert_eq!(said.to_string(), "step \"says no\" was cancelled: boom 4");
    assert!(run.snapshot().failures().is_empty());
}

#[tokio::test(start_paused = true)]
async fn b33_a_token_cancels_runs_and_runs_in_them() {
    let dropped = Tally::default();
    let inner = endless(&dropped);
    let mut flow = FlowBuilder::<Flow<()>>::new("outer");
    let child = flow.step("child").run(|cx, ()| async move {
        let run = cx.input().start_with((), cx.child());
        Ok(run.wait().await.unwrap_err().code())
    });
    let flow = flow.build_with(child).unwrap();
    let token = CancellationToken::new();
    let options = || RunOptions::new().cancel(token.clone()).grace(ms(10));
    let runs = [0; 2].map(|_| flow.start_with(inner.clone(), options()));
    pause(10).await;
    token.cancel();
    for run in runs {
        // In its grace the outer body has seen the inner run end.
        assert_eq!(*run.result().await.unwrap(), "cancelled");
        run.wait().await.unwrap();
    }
    assert_eq!(dropped.get(), 4);

    // A token that was cancelled before.
    let run = flow.start_with(inner.clone(), options());
    assert_eq!(run.wait().await.unwrap_err().code(), "cancelled");
    // What a body does with its own token is its own business.
    let mut flow = FlowBuilder::<()>::new("own");
    let own = flow.step("own").run(|cx, ()| async move {
        cx.cancel_token().cancel();
        Ok(())
    });
    flow.step("next").after(own).run(|_, ()| async { Ok(()) });
    flow.build().unwrap().run(()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn b34_after_the_end_there_is_nothing_to_cancel() {
    let mut flow = FlowBuilder::<()>::new("over");
    let step = flow.step("step").run(|_, ()| async { Ok(1) });
    let run = flow.build_with(step).unwrap().start(());
    run.wait().await.unwrap();
    run.cancel();
    run.wait().await.unwrap();
    assert_eq!(*run.result().await.unwrap(), 1);
    assert_eq!(states(&run.snapshot()), [StepState::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn b35_a_run_goes_on_without_its_handle() {
    let ended = Tally::default();
    let tally = ended.clone();
    let mut flow = FlowBuilder::<()>::new("alone");
    flow.step("alone").run(move |_, ()| {
        let tally = tally.clone();
        async move {
            pause(10).await;
            tally.add();
            Ok(())
        }
    });
    let flow = flow.build().unwrap();
    drop(flow.start(()));
    pause(20).await;
    assert_eq!(ended.get(), 1);

    let run = flow.start(());
    drop(run.cancel_on_drop());
    assert_eq!(run.wait().await.unwrap_err().code(), "cancelled");
    let run = flow.start(());
    run.cancel_on_drop().disarm();
    run.wait().await.unwrap();
    assert_eq!(ended.get(), 2);

    // A run that only its future knows is cancelled with that.
    assert!(tokio::time::timeout(ms(5), flow.run(())).await.is_err());
    pause(20).await;
    assert_eq!(ended.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn b36_what_hangs_on_a_token_outlives_the_step() {
    let mut flow = FlowBuilder::<()>::new("outlives");
    let parent = flow
        .step("parent")
        .timeout(Duration::from_secs(1))
        .run(|cx, ()| async move { Ok(cx.cancel_token()) });
    let child = flow.step("child").needs(parent).run(|_, token| async move {
        pause(10_000).await;
        Ok(token.is_cancelled())
    });
    assert!(!*flow.build_with(child).unwrap().run(()).await.unwrap());
}
