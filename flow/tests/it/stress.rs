//! Behaviour 53: random graphs with random failures, panics, cancellations and limits, against a
//! plain model of what has to come of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jobtracker_flow::{
    BoxError, ConstantBuilder, Event, Flow, FlowBuilder, NeedKind, Observer, OnFailure, Run,
    RunOptions, RunView, Snapshot, Step, StepState,
};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::{Tally, ms};

/// What a body does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Succeed,
    Fail,
    Panic,
    /// Fails so often and then succeeds; three attempts are made.
    Retry(u32),
}

#[derive(Clone, Copy, Debug)]
struct Body {
    deed: Deed,
    /// How often it gives way to others, or how many milliseconds it takes.
    waits: u64,
    is_blocking: bool,
}

/// A graph with what its run has to be.
struct Case {
    flow: Flow<(), ()>,
    steps: Vec<Step<u64>>,
    bodies: Vec<Body>,
    /// Whose outputs each step is given.
    needs: Vec<Vec<usize>>,
    calls: Vec<Tally>,
    at_work: Arc<Mutex<(u32, u32)>>,
}

/// What stops a run before its end, if anything.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Never,
    FailFast,
    Cancel(u64),
    Deadline(u64),
}

async fn wait(times: u64, on_clock: bool) {
    if on_clock && times > 0 {
        tokio::time::sleep(ms(times)).await;
    }
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// What the outputs that a step needs come to.
fn sum(needs: impl Iterator<Item = u64>) -> u64 {
    needs.fold(1, |sum, need| sum.wrapping_mul(31).wrapping_add(need))
}

fn answer(body: Body, attempt: u32, output: u64) -> Result<u64, BoxError> {
    match body.deed {
        Deed::Panic => panic!("on purpose"),
        Deed::Fail => Err("on purpose".into()),
        Deed::Retry(fails) if attempt <= fails => Err("not yet".into()),
        Deed::Succeed | Deed::Retry(_) => Ok(output),
    }
}

/// A body that is counted while it is at work.
struct AtWork(Arc<Mutex<(u32, u32)>>);

impl AtWork {
    fn new(count: &Arc<Mutex<(u32, u32)>>) -> Self {
        let mut now = count.lock();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        drop(now);
        Self(Arc::clone(count))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.lock().0 -= 1;
    }
}

fn body(random: &mut StdRng, on_clock: bool) -> Body {
    let deed = match random.random_range(0..20) {
        0 => Deed::Fail,
        1 => Deed::Panic,
        2 => Deed::Retry(random.random_range(1..=3)),
        _ => Deed::Succeed,
    };
    let waits = if random.random_bool(0.5) { random.random_range(0..4) } else { 0 };
    // A thread at work stops the paused clock, and a panic of one is no different.
    Body { deed, waits, is_blocking: !on_clock && random.random_bool(0.05) }
}

fn case(random: &mut StdRng, on_clock: bool) -> Case {
    let mut flow = FlowBuilder::<()>::new("random");
    let (mut steps, mut bodies, mut calls) = (Vec::<Step<u64>>::new(), Vec::new(), Vec::new());
    let (mut all_needs, at_work) = (Vec::new(), Arc::default());
    for index in 0..random.random_range(1..40_usize) {
        let mut some = |most: usize| -> Vec<usize> {
            let count = random.random_range(0..=most.min(index));
            (0..count).map(|_| random.random_range(0..index)).collect()
        };
        let (needs, after, settled) = (some(3), some(1), some(1));
        let handles = |of: &[usize]| -> Vec<Step<u64>> { of.iter().map(|i| steps[*i]).collect() };
        let settled: Vec<_> = handles(&settled).into_iter().map(Step::settled).collect();
        let body = body(random, on_clock);
        let again = ConstantBuilder::default().with_delay(ms(1)).with_max_times(2);
        let step =
            flow.step(format!("{index}")).needs(handles(&needs)).after((handles(&after), settled));
        let step = if matches!(body.deed, Deed::Retry(_)) { step.retry(again) } else { step };
        let (tally, working) = (Tally::default(), Arc::clone(&at_work));
        calls.push(tally.clone());
        steps.push(if body.is_blocking {
            step.run_blocking(move |cx, needs: Vec<Arc<u64>>| {
                let _working = AtWork::new(&working);
                tally.add();
                answer(body, cx.attempt(), sum(needs.iter().map(|need| **need)))
            })
        } else {
            step.run(move |cx, needs: Vec<Arc<u64>>| {
                tally.add();
                let working = Arc::clone(&working);
                async move {
                    let _working = AtWork::new(&working);
                    wait(body.waits, on_clock).await;
                    answer(body, cx.attempt(), sum(needs.iter().map(|need| **need)))
                }
            })
        });
        bodies.push(body);
        all_needs.push(needs);
    }
    Case { flow: flow.build().unwrap(), steps, bodies, needs: all_needs, calls, at_work }
}

/// Counts what it is told of each step, and that nothing comes after the end.
#[derive(Default)]
struct Counter(Mutex<(HashMap<u32, u32>, u32, bool)>);

impl Observer for Counter {
    fn on(&self, _: &RunView<'_>, event: &Event<'_>) {
        let mut seen = self.0.lock();
        assert!(!seen.2, "an event after the end");
        match event {
            Event::StepDone { step, .. } => *seen.0.entry(step.index).or_default() += 1,
            Event::StepStarted { attempt: 1, .. } => seen.1 += 1,
            Event::RunDone { counts, .. } => {
                assert_eq!(counts.done(), counts.total);
                seen.2 = true;
            }
            _ => {}
        }
    }
}

/// What each step comes to when nothing stops the run.
fn expected(case: &Case) -> Vec<StepState> {
    let mut states: Vec<StepState> = Vec::new();
    for (meta, body) in case.flow.steps().iter().zip(&case.bodies) {
        let is_missing = meta.needs.iter().any(|need| {
            need.kind != NeedKind::Settled && states[need.step as usize] != StepState::Succeeded
        });
        states.push(match body.deed {
            _ if is_missing => StepState::Skipped,
            Deed::Fail | Deed::Panic | Deed::Retry(3) => StepState::Failed,
            Deed::Succeed | Deed::Retry(_) => StepState::Succeeded,
        });
    }
    states
}

/// What holds of a run whatever stopped it.
fn check_any(case: &Case, snapshot: &Snapshot, is_stopped: bool) {
    for (index, (meta, step)) in case.flow.steps().iter().zip(&snapshot.steps).enumerate() {
        let of = |need: u32| snapshot.steps[need as usize].state;
        let must_succeed = |need: &&jobtracker_flow::Need| need.kind != NeedKind::Settled;
        let mut needs = meta.needs.iter().filter(must_succeed);
        match step.state {
            StepState::Succeeded | StepState::Failed => {
                assert!(needs.all(|need| of(need.step) == StepState::Succeeded));
                assert!(meta.needs.iter().all(|need| of(need.step).is_over()));
                assert_eq!(case.calls[index].get(), step.attempts);
            }
            StepState::Skipped => {
                assert!(needs.any(|need| !of(need.step).is_success()));
                assert_eq!((case.calls[index].get(), step.started), (0, None));
            }
            StepState::Cancelled => assert!(is_stopped),
            other => panic!("a run that is over has a step that is {other:?}"),
        }
    }
}

async fn check_all(case: &Case, run: &Run<(), ()>, snapshot: &Snapshot) {
    let states: Vec<_> = snapshot.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, expected(case));
    let mut outputs: Vec<u64> = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let wanted = sum(case.needs[index].iter().map(|need| outputs[*need]));
        let output = run.output(*step).await;
        assert_eq!(output.is_ok(), states[index] == StepState::Succeeded);
        assert!(output.is_ok_and(|output| *output == wanted) || !states[index].is_success());
        outputs.push(wanted);
    }
}

async fn one(seed: u64, on_clock: bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let case = case(&mut random, on_clock);
    let after = random.random_range(0..12);
    let stop = match random.random_range(0..8) {
        0 => Stop::FailFast,
        1 => Stop::Cancel(after),
        2 if on_clock => Stop::Deadline(after),
        _ => Stop::Never,
    };
    let limit = if random.random_bool(0.4) { random.random_range(1..4) } else { 0 };
    let grace = ms(random.random_range(0..3));
    let counter = Arc::new(Counter::default());
    let mut options =
        RunOptions::new().observer(counter.clone()).max_concurrency(limit).grace(grace);
    match stop {
        Stop::FailFast => options = options.on_failure(OnFailure::FailFast),
        Stop::Deadline(after) => options = options.deadline(ms(after)),
        Stop::Never | Stop::Cancel(_) => {}
    }
    let run = case.flow.start_with((), options);
    if let Stop::Cancel(after) = stop {
        wait(after, on_clock).await;
        run.cancel();
    }
    let outcome = run.wait_timeout(Duration::from_secs(600)).await;
    let snapshot = run.snapshot();
    assert!(snapshot.is_over, "the run hangs: {snapshot:?}");
    let is_stopped = !matches!(stop, Stop::Never);
    check_any(&case, &snapshot, is_stopped);
    if !is_stopped {
        check_all(&case, &run, &snapshot).await;
    }
    let counts = snapshot.counts();
    assert_eq!(outcome.is_ok(), counts.succeeded == counts.total, "{outcome:?}");
    let (done, started, _) = &*counter.0.lock();
    assert!(done.len() == case.steps.len() && done.values().all(|times| *times == 1));
    let begun = snapshot.steps.iter().filter(|step| step.started.is_some()).count();
    assert_eq!(*started as usize, begun);
    let most = case.at_work.lock().1;
    assert!(limit == 0 || most <= limit as u32, "{most} bodies at once, and the limit is {limit}");
}

/// How many seeds: all of them only when there is time.
fn seeds(few: u64) -> u64 {
    if std::env::var_os("JOBTRACKER_LONG").is_some() { 5_000 } else { few }
}

/// Says which seed it is when it fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was seed {}", self.0);
        }
    }
}

fn quiet() {
    // Hundreds of panics on purpose would fill the log.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"on purpose") {
            before(info);
        }
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b53_random_graphs_on_threads() {
    quiet();
    for seed in 0..seeds(300) {
        let _seed = Seed(seed);
        one(seed, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b53_random_graphs_on_the_paused_clock() {
    quiet();
    for seed in 0..seeds(300) {
        let _seed = Seed(seed);
        one(1_000_000 + seed, true).await;
    }
}
