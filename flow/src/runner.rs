use std::sync::Arc;

use tokio::task::coop::consume_budget;

use crate::{
    StepError, StepErrorKind, attempt,
    permit::{Permit, Permits},
    running::{Cause, Running},
    slot::Outcome,
};

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
            let attempts = attempt::all(&self.run, &mut self.place, (step, begun), permit);
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
            let step_name = Arc::clone(&self.run.shared.plan.meta(step).name);
            let kind = StepErrorKind::Cancelled(None);
            let error = StepError { step: step_name, attempts, kind };
            let (_, ended) = self.run.end(step, Err(Arc::new(error)), self.run.now());
            self.run.ended(ended);
        }
    }
}

impl<In: Send + Sync + 'static> Running<In> {
    /// A permit that the scheduler has given out, if bodies are limited.
    pub(crate) fn permit(self: &Arc<Self>) -> Option<Permit> {
        let permits = || Arc::clone(self) as Arc<dyn Permits>;
        self.scheduler.is_limited().then(|| Permit::of(permits()))
    }
}
