//! Behaviours 37 to 39: panics, and a runtime that goes away.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use jobtracker_flow::{
    BoxError, ConstantBuilder, Event, FlowBuilder, FlowError, Observer, RunOptions, RunView,
    StepErrorKind, StepState,
};

use crate::support::{Journal, boom, pause, states};

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

#[tokio::test]
async fn b37_panics_are_failures() {
    let mut flow = FlowBuilder::<()>::new("panics");
    flow.step("before").run(|_, ()| {
        if true {
            panic!("before the future");
        }
        async { Ok(()) }
    });
    flow.step("first poll").run(|_, ()| async {
        if true {
            panic!("{} {}", "first", "poll");
        }
        Ok(())
    });
    flow.step("after an await").run(|_, ()| async {
        tokio::task::yield_now().await;
        if true {
            panic!("after an await");
        }
        Ok(())
    });
    flow.step("blocking").run_blocking(|_, ()| {
        if true {
            panic!("blocking");
        }
        Ok(())
    });
    let again = ConstantBuilder::default().with_delay(Duration::ZERO);
    flow.step("retry_if")
        .retry(again)
        .retry_if(|_| panic!("retry_if"))
        .run(|_, ()| async { boom::<()>(1) });
    flow.step("drop").run(|_, ()| {
        let held = PanicsWhenDropped;
        async move {
            let _held = held;
            Ok(())
        }
    });
    let run = flow.build().unwrap().start(());
    run.wait_timeout(Duration::from_secs(60)).await.unwrap_err();
    let messages: Vec<String> = run
        .snapshot()
        .steps
        .iter()
        .map(|step| match &step.error.as_ref().unwrap().kind {
            StepErrorKind::Panicked(message) => message.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted =
        ["before the future", "first poll", "after an await", "blocking", "retry_if", "in drop"];
    assert_eq!(messages, wanted);
}

#[tokio::test]
async fn b37_panics_around_attempts_are_failures() {
    for inside in [false, true] {
        let mut flow = FlowBuilder::<()>::new("around");
        flow.around(move |info, work| {
            assert_eq!((&*info.step, info.attempt), ("step", 1));
            if !inside {
                panic!("around");
            }
            async move {
                drop(work.await);
                panic!("around")
            }
            .boxed()
        });
        flow.step("step").run(|_, ()| async { Ok(()) });
        let error = flow.build().unwrap().run(()).await.unwrap_err();
        assert_eq!(error.to_string(), "step \"step\" panicked: around");
    }
}

tokio::task_local! {
    static PLACE: String;
}

#[tokio::test]
async fn what_is_around_attempts_can_set_what_they_see() {
    let mut flow = FlowBuilder::<()>::new("around");
    flow.around(|info, work| PLACE.scope(format!("{}/{}", info.step, info.attempt), work).boxed());
    flow.around(|_, work| {
        async move {
            // The first one is the outermost.
            let place = PLACE.get();
            let done = work.await;
            assert!(done.error().is_none() && PLACE.get() == place);
            done
        }
        .boxed()
    });
    let step = flow.step("here").run(|_, ()| async {
        tokio::task::yield_now().await;
        Ok(PLACE.get())
    });
    let flow = flow.build_with(step).unwrap();
    assert_eq!(*flow.run(()).await.unwrap(), "here/1");
}

/// Ready at once, and panics when it is dropped.
struct DropsBadly(bool);

impl Future for DropsBadly {
    type Output = Result<u32, BoxError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0 { Poll::Ready(Ok(1)) } else { Poll::Pending }
    }
}

impl Drop for DropsBadly {
    fn drop(&mut self) {
        panic!("when it is dropped");
    }
}

#[tokio::test]
async fn b37_a_panic_of_a_body_that_is_given_up_changes_nothing() {
    let mut flow = FlowBuilder::<()>::new("drops");
    let ready = flow.step("ready").run(|_, ()| DropsBadly(true));
    flow.step("given up").run(|_, ()| DropsBadly(false));
    let run = flow.build_with(ready).unwrap().start(());
    let error = run.result().await.unwrap_err();
    assert_eq!(error.to_string(), "step \"ready\" panicked: when it is dropped");
    while run.snapshot().steps[1].state == StepState::Pending {
        tokio::task::yield_now().await;
    }
    run.cancel();
    run.wait().await.unwrap_err();
    assert_eq!(states(&run.snapshot()), [StepState::Failed, StepState::Cancelled]);
}

struct Panics;

impl Observer for Panics {
    fn on(&self, _: &RunView<'_>, _: &Event<'_>) {
        panic!("an observer");
    }
}

#[tokio::test]
async fn b38_a_panic_of_an_observer_changes_nothing() {
    let journal = Arc::new(Journal::default());
    let mut flow = FlowBuilder::<()>::new("observed");
    let step = flow.step("step").run(|_, ()| async { Ok(4) });
    let flow = flow.build_with(step).unwrap();
    let options = RunOptions::new().observer(Arc::new(Panics)).observer(journal.clone());
    let run = flow.start_with((), options);
    run.wait().await.unwrap();
    assert_eq!(*run.result().await.unwrap(), 4);
    let told = journal.lines();
    assert_eq!(told, ["run starts", "step starts 1", "step is Succeeded after 1", "run ends true"]);
}

#[test]
fn b39_a_runtime_that_goes_away_takes_its_runs_with_it() {
    let started = std::sync::Mutex::new(Vec::new());
    let (tell, told) = std::sync::mpsc::channel();
    let flow = {
        let mut flow = FlowBuilder::<std::sync::mpsc::Sender<()>>::new("gone");
        let slow = flow.step("slow").run(|cx, ()| async move {
            cx.input().send(())?;
            pause(1_000_000_000).await;
            Ok::<(), BoxError>(())
        });
        flow.step("next").after(slow).run(|_, ()| async { Ok(()) });
        flow.build().unwrap()
    };
    for workers in [1, 2] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .unwrap();
        let run = runtime.block_on(async { flow.start(tell.clone()) });
        told.recv().unwrap();
        started.lock().unwrap().push(run);
        runtime.shutdown_background();
    }
    // A runtime that goes before its runners were polled.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(async { flow.start(tell.clone()) });
    started.lock().unwrap().push(run);
    drop(runtime);

    let waiter = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for run in started.into_inner().unwrap() {
        let waited = waiter.block_on(run.wait_timeout(Duration::from_secs(60)));
        assert!(matches!(waited, Err(FlowError::Cancelled(_))), "{waited:?}");
        assert_eq!(states(&run.snapshot()), [StepState::Cancelled, StepState::Cancelled]);
    }
}
