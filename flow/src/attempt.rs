//! The attempts of one step that a runner has begun.

use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    AttemptInfo, Cx, Event, StepError, StepErrorKind,
    body::{Guarded, caught},
    permit::Permit,
    policy::{Delays, Policy},
    runner::Place,
    running::Running,
    slot::{Outcome, Value},
    snapshot::Try,
};

/// Runs the attempts of a step: one, and others as its policy says. The permit comes back, to be
/// kept until what follows from the outcome is done.
pub(crate) async fn all<In: Send + Sync + 'static>(
    run: &Arc<Running<In>>,
    place: &mut Place,
    (step, mut begun): (u32, u64),
    mut permit: Option<Permit>,
) -> (Outcome, Option<Permit>) {
    let (meta, policy) = (run.shared.plan.meta(step), run.shared.plan.policy(step));
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
    let plan = &run.shared.plan;
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
