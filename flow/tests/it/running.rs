//! Behaviours 8 to 14: when steps begin, and what their outputs are.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use futures_util::FutureExt;
use jobtracker_flow::{Flow, FlowBuilder, FlowError, RunOptions, Step, StepState};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::{Tally, boom, ms, pause};

fn sleeper(flow: &mut FlowBuilder<()>, name: &str, after: &[Step<()>], millis: u64) -> Step<()> {
    flow.step(name).after(after.to_vec()).run(move |_, ()| async move {
        pause(millis).await;
        Ok(())
    })
}

/// Two branches that cross: a slow step behind a quick one, and the other way round. Layer by layer
/// it would take 100 ms.
#[tokio::test(start_paused = true)]
async fn b08_a_step_begins_the_moment_its_last_dependency_ends() {
    let mut flow = FlowBuilder::<()>::new("branches");
    let a = sleeper(&mut flow, "a", &[], 5);
    let b = sleeper(&mut flow, "b", &[a], 50);
    let c = sleeper(&mut flow, "c", &[], 50);
    let d = sleeper(&mut flow, "d", &[c], 5);
    let join = sleeper(&mut flow, "join", &[b, d], 0);
    let begin = Instant::now();
    let run = flow.build_with(join).unwrap().start(());
    run.wait().await.unwrap();
    assert!(begin.elapsed() < ms(60), "{:?}", begin.elapsed());
    let starts: Vec<u128> =
        run.snapshot().steps.iter().map(|step| step.started.unwrap().as_millis()).collect();
    let about = [0, 5, 0, 50, 55];
    assert!(starts.iter().zip(about).all(|(at, about)| at.abs_diff(about) <= 2), "{starts:?}");
}

/// Each waits on its thread for the other, so one after the other they would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b09_bodies_that_compute_overlap() {
    let mut flow = FlowBuilder::<Barrier>::new("two at once");
    for name in ["a", "b"] {
        flow.step(name).run(|cx, ()| async move {
            cx.input().wait();
            Ok(())
        });
    }
    let flow = flow.build().unwrap();
    let run = flow.start(Barrier::new(2));
    run.wait_timeout(Duration::from_secs(60)).await.unwrap();
}

/// Has no `Clone`.
struct Heavy;

#[tokio::test]
async fn b10_an_output_is_one_allocation() {
    let seen = Arc::new(Mutex::new(Vec::<Arc<Heavy>>::new()));
    let mut flow = FlowBuilder::<()>::new("shared");
    let heavy = flow.step("heavy").run(|_, ()| async { Ok(Heavy) });
    for name in ["a", "b", "c"] {
        let seen = Arc::clone(&seen);
        flow.step(name).needs(heavy).run(move |_, heavy| {
            seen.lock().push(heavy);
            async { Ok(()) }
        });
    }
    let run = flow.build().unwrap().start(());
    run.wait().await.unwrap();
    let output = run.output(heavy).await.unwrap();
    let seen = seen.lock();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|heavy| Arc::ptr_eq(heavy, &output)));
}

#[tokio::test(start_paused = true)]
async fn b11_an_output_is_there_when_its_step_ends() {
    let mut flow = FlowBuilder::<()>::new("early");
    let quick = flow.step("quick").run(|_, ()| async {
        pause(1).await;
        Ok(1)
    });
    sleeper(&mut flow, "slow", &[], 1_000);
    let flow = flow.build_with(quick).unwrap();
    let run = flow.start(());
    let others = [run.clone(), run.clone()]
        .map(|run| tokio::spawn(async move { *run.output(quick).await.unwrap() }));
    assert_eq!(*run.output(quick).await.unwrap(), 1);
    assert_eq!(*run.result().await.unwrap(), 1);
    for other in others {
        assert_eq!(other.await.unwrap(), 1);
    }
    assert_eq!(run.snapshot().step("slow").unwrap().state, StepState::Running);
    run.wait().await.unwrap();

    let mut other = FlowBuilder::<()>::new("other");
    let foreign = other.step("quick").run(|_, ()| async { Ok(1) });
    assert!(matches!(run.output(foreign).await, Err(FlowError::ForeignStep)));
}

#[tokio::test(start_paused = true)]
async fn b12_run_answers_when_every_step_is_over() {
    let mut flow = FlowBuilder::<()>::new("whole");
    let ended = Tally::default();
    let quick = flow.step("quick").run(|_, ()| async { Ok(5) });
    let tally = ended.clone();
    flow.step("slow").run(move |_, ()| {
        let tally = tally.clone();
        async move {
            pause(50).await;
            tally.add();
            Ok(())
        }
    });
    let flow = flow.build_with(quick).unwrap();
    assert_eq!(*flow.run(()).await.unwrap(), 5);
    assert_eq!(ended.get(), 1);

    // A failure elsewhere is one of the whole.
    let mut flow = FlowBuilder::<()>::new("failing");
    let quick = flow.step("quick").run(|_, ()| async { Ok(5) });
    flow.step("bad").run(|_, ()| async { boom::<()>(1) });
    assert_eq!(flow.build_with(quick).unwrap().run(()).await.unwrap_err().code(), "step_failed");
}

/// Thirty steps, of which some depend on others, and that write down their begin.
fn crowd(log: &Arc<Mutex<Vec<u32>>>, at_work: &Tally, most: &Tally) -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("crowd");
    let mut steps: Vec<Step<()>> = Vec::new();
    for i in 0..30_usize {
        let after = if i % 3 == 2 { vec![steps[i - 2], steps[i / 2]] } else { Vec::new() };
        let (log, at_work, most) = (Arc::clone(log), at_work.clone(), most.clone());
        let step = flow.step(format!("{i}")).after(after).run(move |cx, ()| {
            log.lock().push(cx.step().index);
            let (at_work, most) = (at_work.clone(), most.clone());
            async move {
                let now = at_work.add();
                while most.get() < now {
                    most.add();
                }
                if cx.step().index % 4 != 1 {
                    pause(3).await;
                }
                at_work.take();
                Ok(())
            }
        });
        steps.push(step);
    }
    flow.build().unwrap()
}

async fn never_more_than(limit: usize) -> Vec<u32> {
    let (log, at_work, most) = (Arc::default(), Tally::default(), Tally::default());
    let flow = crowd(&log, &at_work, &most);
    let run = flow.start_with((), RunOptions::new().max_concurrency(limit));
    run.wait().await.unwrap();
    let wanted = if limit == 0 { 30 } else { limit as u32 };
    assert!(most.get() <= wanted, "{} bodies at once, and the limit is {limit}", most.get());
    assert!(most.get() >= wanted.min(3), "{} bodies at once, and the limit is {limit}", most.get());
    let log = log.lock();
    log.clone()
}

#[tokio::test(start_paused = true)]
async fn b13_no_more_bodies_than_the_limit() {
    for limit in [0, 2, 3, 7] {
        never_more_than(limit).await;
    }
    assert_eq!(never_more_than(1).await, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_one_at_a_time_is_the_order_of_definition_on_threads_too() {
    for _ in 0..20 {
        assert_eq!(never_more_than(1).await, (0..30).collect::<Vec<_>>());
    }
}

/// The body cannot end before `start` has returned, so a `start` that waited would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn b13_start_does_not_wait() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let mut flow = FlowBuilder::<Mutex<std::sync::mpsc::Receiver<()>>>::new("waits");
    flow.step("waits").run_blocking(|cx, ()| Ok(cx.input().lock().recv()?));
    let run =
        flow.build().unwrap().start_with(Mutex::new(gone), RunOptions::new().max_concurrency(1));
    go.send(()).unwrap();
    run.wait_timeout(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn b14_a_long_chain_lets_others_run() {
    const STEPS: u32 = 10_000;
    let mut flow = FlowBuilder::<()>::new("chain");
    let mut last = flow.step("0").run(|_, ()| async { Ok(0_u32) });
    for i in 1..STEPS {
        last = flow.step(format!("{i}")).needs(last).run(|_, n| async move { Ok(*n + 1) });
    }
    let run = flow.build_with(last).unwrap().start(());
    let other = {
        let run = run.clone();
        tokio::spawn(async move {
            let mut turns = 0;
            while run.wait().now_or_never().is_none() {
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        })
    };
    assert_eq!(*run.result().await.unwrap(), STEPS - 1);
    run.wait().await.unwrap();
    let turns = other.await.unwrap();
    assert!(turns >= 10, "the other task had {turns} turns");
}

/// The first body is given up and holds its thread until it is told; the next one waits for its
/// permit all the same.
#[tokio::test(start_paused = true)]
async fn b13_a_blocking_body_keeps_its_permit_until_its_thread_returns() {
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let mut flow = FlowBuilder::<()>::new("blocks");
    let blocks = flow.step("blocks").timeout(ms(10)).run_blocking(move |_, ()| {
        begun.send(())?;
        gone.lock().recv()?;
        Ok(())
    });
    flow.step("next").run(|_, ()| async { Ok(()) });
    let run = flow.build().unwrap().start_with((), RunOptions::new().max_concurrency(1));
    begins.recv().await.unwrap();
    // While a thread is at work the paused clock stands still.
    tokio::time::advance(ms(20)).await;
    assert_eq!(run.output(blocks).await.unwrap_err().root().unwrap().code(), "timeout");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(run.snapshot().steps[1].state, StepState::Pending);
    go.send(()).unwrap();
    run.wait().await.unwrap_err();
    assert_eq!(run.snapshot().steps[1].state, StepState::Succeeded);
}
