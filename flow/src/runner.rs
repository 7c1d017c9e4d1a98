use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    task::coop::consume_budget,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AttemptInfo, Cx, Event, RunOptions, StepError, StepErrorKind,
    body::{Guarded, caught},
    cx::Shared,
    permit::{Permit, Permits},
    plan::Plan,
    policy::{Delays, Policy},
    running::{Cause, Running},
    slot::{Outcome, Slot, Value},
    snapshot::Try,
};

/// Starts a run whose steps stand so.
pub(crate) fn start<In: Send + Sync + 'static>(
    plan: Arc<Plan<In>>,
    shared: Shared<In>,
    slots: Box<[Slot]>,
    options: RunOptions,
) -> Arc<Running<In>> {
    let run = Arc::new(Running::new(plan, shared, slots, options));
    let ready = run.begin();
    run.spawn(run.scheduler.push(ready, false));
    run
}

/// Steps that never wait, for each unit of a task's budget in the runtime (which has 128): other
/// tasks have their turn after some 100 microseconds of empty bodies.
const STEPS_PER_UNIT: u32 = 4;

/// A task that runs steps of a run, one after the other, as long as some are ready.
///
/// A step that it has begun it also ends, even if it is dropped: with the runtime, nothing else
/// would.
pub(crate) struct Runner<In: Send + Sync + 'static> {
    run: Arc<Running<In>>,
    place: Place,
    /// What it has begun and not ended.
    step: Option<u32>,
    is_done: bool,
}

/// Whether a runner has one of the scheduler's places; not, while its body waits.
pub(crate) struct Place(bool);

impl Place {
    /// Gives up the place, because what the runner does next is wait.
    pub(crate) fn give_up<In: Send + Sync + 'static>(&mut self, run: &Arc<Running<In>>) {
        if std::mem::take(&mut self.0) {
            run.spawn(run.scheduler.wait());
        }
    }
}

impl<In: Send + Sync + 'static> Runner<In> {
    /// A runner that has been given a place.
    pub(crate) fn new(run: Arc<Running<In>>) -> Self {
        Self { run, place: Place(true), step: None, is_done: false }
    }

    pub(crate) async fn run(mut self) {
        // The end of one step is the begin of the next; a clock costs as much as a small body.
        let (mut steps, mut now) = (0_u32, None);
        while self.place.0 {
            let Some(step) = self.run.scheduler.take() else { break };
            let permit = self.run.permit();
            if self.run.is_stopped() || !self.run.slot(step).claim_to_begin() {
                continue;
            }
            self.step = Some(step);
            let begun = now.take().unwrap_or_else(|| self.run.now());
            let attempts = attempts(&self.run, &mut self.place, (step, begun), permit);
            let (outcome, permit) = attempts.await;
            self.step = None;
            now = Some(self.end(step, outcome));
            // Now, since what is ready by this step may come before what was ready already.
            drop(permit);
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_UNIT) {
                now = None;
                consume_budget().await;
            }
        }
        self.is_done = true;
    }

    /// Ends a step, and answers when.
    fn end(&mut self, step: u32, outcome: Outcome) -> u64 {
        let run = &self.run;
        self.place.0 = self.place.0 || run.scheduler.rejoin();
        let now = run.now();
        let (ready, ended) = run.end(step, outcome, now);
        run.fail_fast(step);
        run.spawn(run.scheduler.push(ready, self.place.0));
        run.ended(ended);
        now
    }
}

impl<In: Send + Sync + 'static> Drop for Runner<In> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.run.stop(Cause::Cancelled);
        if let Some(step) = self.step.take() {
            let attempts = self.run.slot(step).attempts();
            let step_name = Arc::clone(&self.run.plan.meta(step).name);
            let kind = StepErrorKind::Cancelled(None);
            let error = StepError { step: step_name, attempts, kind };
            let (_, ended) = self.run.end(step, Err(Arc::new(error)), self.run.now());
            self.run.ended(ended);
        }
    }
}

impl<In: Send + Sync + 'static> Running<In> {
    /// Spawns runners that have a place each.
    fn spawn(self: &Arc<Self>, runners: usize) {
        for _ in 0..runners {
            self.runtime.spawn(Runner::new(Arc::clone(self)).run());
        }
    }

    /// A permit that the scheduler has given out, if bodies are limited.
    pub(crate) fn permit(self: &Arc<Self>) -> Option<Permit> {
        let permits = || Arc::clone(self) as Arc<dyn Permits>;
        self.scheduler.is_limited().then(|| Permit::of(permits()))
    }
}

impl<In: Send + Sync + 'static> Permits for Running<In> {
    fn give_back(self: Arc<Self>) {
        let runners = self.scheduler.release();
        self.spawn(runners);
    }
}

/// Runs the attempts of a step: one, and others as its policy says. The permit comes back, to be
/// kept until what follows from the outcome is done.
async fn attempts<In: Send + Sync + 'static>(
    run: &Arc<Running<In>>,
    place: &mut Place,
    (step, mut begun): (u32, u64),
    mut permit: Option<Permit>,
) -> (Outcome, Option<Permit>) {
    let (meta, policy) = (run.plan.meta(step), run.plan.policy(step));
    let mut delays = None;
    run.slot(step).start(begun);
    loop {
        let attempt = run.slot(step).count_attempt();
        run.tell(&Event::StepStarted { step: meta, attempt });
        let kind = match one(run, place, (step, attempt), permit.clone()).await {
            Ok(output) => return (Ok(output), permit),
            Err(kind) => kind,
        };
        let mut error = StepError { step: Arc::clone(&meta.name), attempts: attempt, kind };
        let delay = if run.is_stopped() { Ok(None) } else { next(policy, &mut delays, &error) };
        let Some(delay) = delay.unwrap_or_else(|panicked| {
            error.kind = panicked;
            None
        }) else {
            return (Err(Arc::new(error)), permit);
        };
        run.notes.lock().add(Try { step, attempt, begun, ended: run.now(), pause: delay }, &error);
        run.tell(&Event::Retrying { step: meta, attempt, error: &error, delay });
        drop(permit.take());
        place.give_up(run);
        match pause(run, step, delay).await {
            Some(turn) => permit = turn,
            None => {
                error.kind = error.kind.cancelled();
                return (Err(Arc::new(error)), None);
            }
        }
        begun = run.now();
    }
}

/// The pause after a failed attempt, if another one follows. What it asks is not ours and may
/// panic.
fn next(
    policy: &Policy,
    delays: &mut Option<Delays>,
    error: &StepError,
) -> Result<Option<Duration>, StepErrorKind> {
    caught(|| {
        if delays.is_none() {
            *delays = policy.delays();
        }
        let delays = delays.as_mut().filter(|_| policy.is_worth_another(error));
        delays.and_then(Iterator::next)
    })
}

/// Waits between two attempts, and for a permit if bodies are limited. Nothing if the run is
/// stopped meanwhile.
async fn pause<In: Send + Sync + 'static>(
    run: &Arc<Running<In>>,
    step: u32,
    delay: Duration,
) -> Option<Option<Permit>> {
    let turn = async {
        sleep(delay).await;
        if run.scheduler.is_limited() {
            let (turn, runners) = run.scheduler.again(step);
            run.spawn(runners);
            if let Some(turn) = turn {
                // The other end stays in the queue until it is this step's turn.
                turn.await.ok();
            }
        }
        run.permit()
    };
    tokio::select! {
        biased;
        () = run.shared.cancel.cancelled() => {
            run.is_stopped();
            None
        }
        permit = turn => Some(permit),
    }
}

/// One attempt: to its end, to the end of its time, or until the run is stopped.
async fn one<In: Send + Sync + 'static>(
    run: &Arc<Running<In>>,
    place: &mut Place,
    (step, attempt): (u32, u32),
    permit: Option<Permit>,
) -> Result<Value, StepErrorKind> {
    let plan = &run.plan;
    let limit = plan.policy(step).timeout.map(|limit| Limit::new(limit, &run.shared.cancel));
    let token = limit.as_ref().map(|limit| limit.token.clone());
    let cx = Cx::new(&run.shared, token, step, attempt);
    let info = || AttemptInfo {
        run: run.shared.info.id.clone(),
        step: Arc::clone(&plan.meta(step).name),
        attempt,
    };
    let mut body = Guarded::begin(|| plan.begin(info, cx, &run.slots, permit))?;
    let done = match once(&mut body).await {
        Poll::Ready(done) => done,
        Poll::Pending => {
            place.give_up(run);
            wait_for(run, &mut body, limit.as_ref()).await
        }
    };
    done.map_err(|kind| match (kind, &limit) {
        (kind @ StepErrorKind::Failed(_), _) if run.is_stopped() => kind.cancelled(),
        (StepErrorKind::Failed(_), Some(limit)) if limit.token.is_cancelled() => {
            StepErrorKind::TimedOut(limit.length)
        }
        (kind, _) => kind,
    })
}

/// Waits for a body that was polled once.
async fn wait_for<In: Send + Sync + 'static>(
    run: &Running<In>,
    body: &mut Guarded,
    limit: Option<&Limit>,
) -> Result<Value, StepErrorKind> {
    let given_up = tokio::select! {
        biased;
        done = &mut *body => return done,
        () = run.shared.cancel.cancelled() => {
            run.is_stopped();
            StepErrorKind::Cancelled(None)
        }
        given_up = Limit::pass(limit) => given_up,
    };
    timeout(run.options.grace, body).await.unwrap_or(Err(given_up))
}

/// How long an attempt may take.
struct Limit {
    length: Duration,
    end: Instant,
    /// By which the body is told.
    token: CancellationToken,
}

impl Limit {
    fn new(length: Duration, run: &CancellationToken) -> Self {
        Self { length, end: Instant::now() + length, token: run.child_token() }
    }

    /// Waits for the end of an attempt's time, and tells the body.
    async fn pass(limit: Option<&Self>) -> StepErrorKind {
        let Some(limit) = limit else { return pending().await };
        sleep_until(limit.end).await;
        limit.token.cancel();
        StepErrorKind::TimedOut(limit.length)
    }
}

/// Polls a future once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    let mut future = Pin::new(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
