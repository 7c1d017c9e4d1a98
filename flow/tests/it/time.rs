//! Behaviours 28 to 30: time-outs and deadlines.

use jobtracker_flow::{
    ConstantBuilder, FlowBuilder, FlowError, RunOptions, StepErrorKind, StepState,
};
use tokio::time::Instant;

use crate::support::{Dropped, Tally, ms, pause, states};

#[tokio::test(start_paused = true)]
async fn b28_an_attempt_that_takes_too_long_is_dropped_and_counts_as_failed() {
    let dropped = Tally::default();
    let tally = dropped.clone();
    let mut flow = FlowBuilder::<()>::new("slow");
    let again = ConstantBuilder::default().with_delay(ms(1)).with_max_times(2);
    flow.step("slow").timeout(ms(20)).retry(again).run(move |cx, ()| {
        let flag = Dropped(tally.clone());
        async move {
            let _flag = flag;
            if cx.attempt() < 3 {
                pause(1_000_000).await;
            }
            Ok(cx.attempt())
        }
    });
    let begin = Instant::now();
    let run = flow.build().unwrap().start(());
    run.wait().await.unwrap();
    assert!(begin.elapsed() < ms(100));
    assert_eq!((dropped.get(), run.snapshot().steps[0].attempts), (3, 3));

    let mut flow = FlowBuilder::<()>::new("too slow");
    flow.step("too slow").timeout(ms(20)).run(|cx, ()| async move {
        // It is told, and what it says then is that it was too slow.
        cx.cancelled().await;
        Err::<(), _>("interrupted".into())
    });
    let run = flow.build().unwrap().start_with((), RunOptions::new().grace(ms(5)));
    let error = run.wait().await.unwrap_err();
    let kind = &error.step().unwrap().kind;
    assert!(matches!(kind, StepErrorKind::TimedOut(limit) if *limit == ms(20)), "{kind:?}");
    assert_eq!(error.to_string(), "step \"too slow\" timed out after 20ms");
}

#[tokio::test(start_paused = true)]
async fn b29_a_deadline_ends_the_run() {
    let mut flow = FlowBuilder::<()>::new("deadline");
    let slow = flow.step("slow").run(|_, ()| async {
        pause(1_000_000).await;
        Ok(())
    });
    flow.step("next").after(slow).run(|_, ()| async { Ok(()) });
    let flow = flow.build().unwrap();
    let begin = Instant::now();
    let run = flow.start_with((), RunOptions::new().deadline(ms(50)));
    let error = run.wait().await.unwrap_err();
    assert!(matches!(&error, FlowError::DeadlineExceeded(left) if &*left.step == "slow"));
    assert_eq!(run.output(slow).await.unwrap_err().code(), "deadline_exceeded");
    assert_eq!(states(&run.snapshot()), [StepState::Cancelled, StepState::Cancelled]);
    assert!(begin.elapsed() < ms(60));

    // One that is kept changes nothing.
    let mut flow = FlowBuilder::<()>::new("in time");
    flow.step("quick").run(|_, ()| async { Ok(()) });
    let run = flow.build().unwrap().start_with((), RunOptions::new().deadline(ms(50)));
    pause(100).await;
    run.wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn b30_a_wait_can_be_given_up() {
    let mut flow = FlowBuilder::<()>::new("wait");
    let step = flow.step("step").run(|_, ()| async {
        pause(100).await;
        Ok(3)
    });
    let run = flow.build_with(step).unwrap().start(());
    let error = run.wait_timeout(ms(10)).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("goes on")), ("wait_timeout", true));
    assert_eq!(states(&run.snapshot()), [StepState::Running]);
    run.wait_timeout(ms(1_000)).await.unwrap();
    assert_eq!(*run.result().await.unwrap(), 3);
}
