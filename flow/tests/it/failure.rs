//! Behaviours 15 to 20: what a failed step means for the others.

use std::{error::Error, sync::Arc};

use jobtracker_flow::{
    FlowBuilder, FlowError, OnFailure, RunOptions, StepError, StepErrorKind, StepState,
};

use crate::support::{Boom, Dropped, Tally, boom, ms, pause, states};

#[tokio::test(start_paused = true)]
async fn b15_what_depends_on_a_failure_is_skipped() {
    let ran = Tally::default();
    let mut flow = FlowBuilder::<()>::new("skips");
    let bad = flow.step("bad").run(|_, ()| async { boom::<()>(1) });
    let child = {
        let ran = ran.clone();
        flow.step("child").needs(bad).run(move |_, _| {
            ran.add();
            async { Ok(()) }
        })
    };
    let ran2 = ran.clone();
    let grandchild = flow.step("grandchild").after(child).run(move |_, ()| {
        ran2.add();
        async { Ok(()) }
    });
    let run = flow.build_with(grandchild).unwrap().start(());
    assert_eq!(run.wait().await.unwrap_err().to_string(), "step \"bad\" failed: boom 1");
    assert_eq!(ran.get(), 0);
    let snapshot = run.snapshot();
    assert_eq!(states(&snapshot)[1..], [StepState::Skipped, StepState::Skipped]);
    let error = run.output(grandchild).await.unwrap_err();
    let StepErrorKind::Skipped { via, root } = &error.step().unwrap().kind else {
        panic!("{error:?}")
    };
    assert_eq!((&**via, &*root.step), ("child", "bad"));
    assert_eq!(
        error.to_string(),
        "step \"grandchild\" skipped: it waited for step \"child\", and step \"bad\" failed: boom 1"
    );
    assert_eq!(error.downcast_ref::<Boom>(), Some(&Boom(1)));
    let step = snapshot.step("grandchild").unwrap();
    assert_eq!((step.started, step.duration, step.attempts), (None, None, 0));
}

#[tokio::test(start_paused = true)]
async fn b16_a_skip_does_not_wait_for_others() {
    for slow_first in [true, false] {
        let mut flow = FlowBuilder::<()>::new("at once");
        let slow = flow.step("slow").run(|_, ()| async {
            pause(1_000).await;
            Ok(())
        });
        let bad = flow.step("bad").run(|_, ()| async {
            pause(10).await;
            boom::<()>(1)
        });
        let needs = if slow_first { (slow, bad) } else { (bad, slow) };
        let child = flow.step("child").needs(needs).run(|_, _| async { Ok(()) });
        let run = flow.build().unwrap().start(());
        assert_eq!(run.output(child).await.unwrap_err().code(), "step_failed");
        let [slow, _, child] = states(&run.snapshot())[..] else { panic!("three steps") };
        assert_eq!((slow, child), (StepState::Running, StepState::Skipped));
        run.wait().await.unwrap_err();
        assert_eq!(states(&run.snapshot())[0], StepState::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn b17_others_go_on_or_are_stopped() {
    let dropped = Tally::default();
    let flow = {
        let mut flow = FlowBuilder::<()>::new("modes");
        flow.step("bad").run(|_, ()| async {
            pause(10).await;
            boom::<()>(1)
        });
        let tally = dropped.clone();
        let slow = flow.step("slow").run(move |_, ()| {
            let flag = Dropped(tally.clone());
            async move {
                pause(100).await;
                std::mem::forget(flag);
                Ok(())
            }
        });
        flow.step("next").after(slow).run(|_, ()| async { Ok(()) });
        flow.step("at the end").after(slow.settled()).run(|_, ()| async { Ok(()) });
        flow.build().unwrap()
    };
    use StepState::{Cancelled, Failed, Succeeded};
    let run = flow.start(());
    run.wait().await.unwrap_err();
    assert_eq!(states(&run.snapshot()), [Failed, Succeeded, Succeeded, Succeeded]);
    assert_eq!(dropped.get(), 0);

    let begin = tokio::time::Instant::now();
    let run = flow.start_with((), RunOptions::new().on_failure(OnFailure::FailFast));
    let error = run.wait().await.unwrap_err();
    assert!(matches!(&error, FlowError::StepFailed(step) if &*step.step == "bad"), "{error:?}");
    assert_eq!(states(&run.snapshot()), [Failed, Cancelled, Cancelled, Cancelled]);
    assert_eq!(dropped.get(), 1);
    assert!(begin.elapsed() < ms(50));
}

#[derive(Debug)]
struct Deep;

impl std::fmt::Display for Deep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("deep down")
    }
}

impl Error for Deep {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Boom(9))
    }
}

#[tokio::test]
async fn b18_an_error_names_its_step_and_has_the_cause() {
    let mut flow = FlowBuilder::<()>::new("errors");
    flow.step("QueryTable1").run(|_, ()| async { Err::<(), _>(Deep.into()) });
    let error = flow.build().unwrap().run(()).await.unwrap_err();
    assert_eq!(error.to_string(), "step \"QueryTable1\" failed: deep down");
    assert!(error.downcast_ref::<Deep>().is_some());
    assert!(error.downcast_ref::<Boom>().is_none());
    assert_eq!(error.source().unwrap().to_string(), "boom 9");
    assert_eq!((error.code(), error.root().unwrap().code()), ("step_failed", "failed"));
}

#[tokio::test(start_paused = true)]
async fn b19_the_first_failure_counts_and_all_are_kept() {
    let mut flow = FlowBuilder::<()>::new("two failures");
    for (name, millis) in [("late", 20), ("early", 10), ("never mind", 15)] {
        flow.step(name).run(move |_, ()| async move {
            pause(millis).await;
            if millis == 15 { Ok(()) } else { boom(millis as u32) }
        });
    }
    let flow = flow.build().unwrap();
    for _ in 0..200 {
        let run = flow.start(());
        let error = run.wait().await.unwrap_err();
        assert_eq!(error.downcast_ref::<Boom>(), Some(&Boom(10)));
        let snapshot = run.snapshot();
        let failures: Vec<_> = snapshot.failures().iter().map(|e| e.step.clone()).collect();
        assert_eq!(failures, ["early".into(), "late".into()]);
        assert!(snapshot.error.is_some_and(|error| error.code() == "step_failed"));
    }
}

#[tokio::test]
async fn b20_a_settled_step_is_seen_either_way() {
    for fails in [false, true] {
        let mut flow = FlowBuilder::<bool>::new("settled");
        let work = flow
            .step("work")
            .run(|cx, ()| async move { if **cx.input() { boom(3) } else { Ok(7_u32) } });
        let skipped = flow.step("skipped").after(work).run(|_, ()| async { Ok(1_u32) });
        let report = flow.step("report").needs((work.settled(), skipped.settled())).run(
            |_, (work, skipped)| async move {
                let told = |result: Result<Arc<u32>, Arc<StepError>>| match result {
                    Ok(number) => number.to_string(),
                    Err(error) => error.code().to_owned(),
                };
                Ok(format!("{} {}", told(work), told(skipped)))
            },
        );
        let run = flow.build().unwrap().start(fails);
        let told = run.output(report).await.unwrap();
        assert_eq!(*told, if fails { "failed skipped" } else { "7 1" });
        assert_eq!(run.wait().await.is_err(), fails);
    }
}
