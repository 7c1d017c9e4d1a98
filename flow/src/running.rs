use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use jobtracker_client::Timestamp;
use parking_lot::Mutex;
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Counts, Event, FlowError, NeedKind, OnFailure, RunInfo, RunOptions, RunView, Snapshot,
    StepError, StepErrorKind, StepMeta, StepState,
    cx::Shared,
    observer::Watched,
    plan::Plan,
    scheduler::{Ready, Scheduler},
    slot::{Outcome, Slot},
    snapshot::Notes,
    watch::{End, Watchers},
};

/// A run at work: where its steps stand, and what follows when one of them ends.
pub(crate) struct Running<In> {
    pub(crate) plan: Arc<Plan<In>>,
    pub(crate) shared: Arc<Shared<In>>,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) scheduler: Scheduler,
    pub(crate) watchers: Watchers,
    pub(crate) options: RunOptions,
    pub(crate) notes: Mutex<Notes>,
    /// Steps that have not ended.
    left: AtomicU32,
    /// Why it was stopped: a [`Cause`], 0 for not.
    stopped: AtomicU8,
    over: OnceLock<Over>,
    begin: Instant,
    pub(crate) begin_time: Timestamp,
    pub(crate) runtime: Handle,
}

/// How and when a run ended.
pub(crate) struct Over {
    pub(crate) outcome: Result<(), FlowError>,
    pub(crate) took: Duration,
}

/// Why a run is stopped. The first cause counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    Cancelled = 1,
    Deadline = 2,
    Failure = 3,
}

impl<In: Send + Sync + 'static> Running<In> {
    /// A run whose steps stand so, before it begins.
    pub(crate) fn new(
        plan: Arc<Plan<In>>,
        shared: Shared<In>,
        slots: Box<[Slot]>,
        options: RunOptions,
    ) -> Self {
        let runtime = Handle::current();
        let scheduler = Scheduler::new(runtime.metrics().num_workers(), options.max_concurrency);
        let left = slots.iter().filter(|slot| !slot.state().is_over()).count();
        Self {
            plan,
            shared: Arc::new(shared),
            left: AtomicU32::new(u32::try_from(left).unwrap_or(u32::MAX)),
            slots,
            scheduler,
            watchers: Watchers::default(),
            options,
            notes: Mutex::default(),
            stopped: AtomicU8::new(0),
            over: OnceLock::new(),
            begin: Instant::now(),
            begin_time: wall_clock(),
            runtime,
        }
    }

    /// Tells the observers that it begins, and answers the steps that are ready. Without any step
    /// left it is over at once.
    pub(crate) fn begin(self: &Arc<Self>) -> Ready {
        self.tell(&Event::RunStarted);
        self.tell_reused();
        if self.left.load(Ordering::Acquire) == 0 {
            self.complete();
            return Ready::default();
        }
        if let Some(limit) = self.options.deadline {
            self.runtime.spawn(Arc::clone(self).watch_deadline(limit));
        }
        let steps = self.plan.metas.iter().map(|meta| meta.index);
        steps.filter(|&step| self.slot(step).is_ready()).collect()
    }

    pub(crate) fn slot(&self, step: u32) -> &Slot {
        &self.slots[step as usize]
    }

    /// Nanoseconds since the begin of the run.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1)
    }

    pub(crate) fn over(&self) -> Option<&Over> {
        self.over.get()
    }

    /// Tells the observers.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        for observer in &self.shared.observers {
            let tell = || observer.on(&RunView::new(self), event);
            if catch_unwind(AssertUnwindSafe(tell)).is_err() {
                tracing::warn!(?event, "an observer of a flow panicked");
            }
        }
    }

    fn tell_reused(&self) {
        for (meta, slot) in self.plan.metas.iter().zip(&self.slots) {
            if slot.state() == StepState::Reused {
                self.tell_done(meta.index);
            }
        }
    }

    fn tell_done(&self, step: u32) {
        if self.shared.observers.is_empty() {
            return;
        }
        let slot = self.slot(step);
        let (started, ended) = slot.times();
        self.tell(&Event::StepDone {
            step: self.plan.meta(step),
            state: slot.state(),
            attempts: slot.attempts(),
            started: started.map(Duration::from_nanos),
            took: started
                .zip(ended)
                .map(|(started, ended)| Duration::from_nanos(ended.saturating_sub(started))),
            error: slot.outcome().and_then(|outcome| outcome.as_ref().err()).map(|error| &**error),
        });
    }

    /// Ends a step that the caller has claimed, and all steps that can no longer run because of
    /// it. Answers the steps that are ready now. [`ended`](Self::ended) has to be told the number.
    pub(crate) fn end(&self, step: u32, outcome: Outcome, now: u64) -> (Ready, u32) {
        let (mut ready, mut skipped) = (Ready::default(), Vec::new());
        let (mut at, mut ends) = (step, 1);
        // What is skipped on the way has not succeeded either.
        let is_success = outcome.is_ok();
        self.close(at, outcome, now);
        loop {
            for edge in self.plan.edges(at) {
                let dependant = self.slot(edge.dependant);
                if is_success || edge.kind == NeedKind::Settled {
                    // A step that has the output of an earlier run waits for nothing.
                    if !dependant.state().is_over() && dependant.release() {
                        ready.push(edge.dependant);
                    }
                } else if dependant.claim_to_end() {
                    self.close(edge.dependant, Err(self.skip(edge.dependant, at)), now);
                    skipped.push(edge.dependant);
                    ends += 1;
                }
            }
            match skipped.pop() {
                Some(next) => at = next,
                None => return (ready, ends),
            }
        }
    }

    fn skip(&self, step: u32, via: u32) -> Arc<StepError> {
        let plan = &self.plan;
        let outcome = self.slot(via).outcome().and_then(|outcome| outcome.as_ref().err());
        let cause = outcome.expect("what others are skipped for has ended with an error");
        let kind = match &cause.kind {
            // What was stopped was not the fault of a step.
            StepErrorKind::Cancelled(_) => StepErrorKind::Cancelled(None),
            kind => {
                let root = match kind {
                    StepErrorKind::Skipped { root, .. } => root,
                    _ => cause,
                };
                let via = Arc::clone(&plan.meta(via).name);
                StepErrorKind::Skipped { via, root: Arc::clone(root) }
            }
        };
        Arc::new(StepError { step: Arc::clone(&plan.meta(step).name), attempts: 0, kind })
    }

    fn close(&self, step: u32, outcome: Outcome, now: u64) {
        let slot = self.slot(step);
        if slot.close(outcome, now) == StepState::Failed {
            self.notes.lock().failed.push(step);
        }
        self.tell_done(step);
        self.watchers.wake(End::Step(step));
    }

    /// Says that this many steps have ended. The run is over with the last one.
    pub(crate) fn ended(&self, steps: u32) {
        if steps > 0 && self.left.fetch_sub(steps, Ordering::AcqRel) == steps {
            self.complete();
        }
    }

    fn complete(&self) {
        let over = Over { outcome: self.outcome(), took: Duration::from_nanos(self.now()) };
        if !self.shared.observers.is_empty() {
            let counts = Counts::of(self.slots.iter().map(Slot::state));
            self.tell(&Event::RunDone { outcome: &over.outcome, counts });
        }
        let set = self.over.set(over);
        debug_assert!(set.is_ok(), "a run was over twice");
        self.watchers.wake(End::Run);
    }

    /// A failure counts before a stop, and a stop that left no step undone counts for nothing.
    fn outcome(&self) -> Result<(), FlowError> {
        let error = |step: usize| {
            let outcome = self.slots[step].outcome();
            outcome.and_then(|outcome| outcome.as_ref().err()).map(Arc::clone)
        };
        let failed = self.notes.lock().failed.first().copied();
        if let Some(error) = failed.and_then(|step| error(step as usize)) {
            return Err(FlowError::StepFailed(error));
        }
        if self.cause().is_none() {
            return Ok(());
        }
        let left = self.slots.iter().position(|slot| slot.state() == StepState::Cancelled);
        left.and_then(error).map_or(Ok(()), |error| Err(self.stop_error(error)))
    }

    /// That the run was stopped, with a step that was left.
    pub(crate) fn stop_error(&self, left: Arc<StepError>) -> FlowError {
        if self.cause() == Some(Cause::Deadline) {
            FlowError::DeadlineExceeded(left)
        } else {
            FlowError::Cancelled(left)
        }
    }

    fn cause(&self) -> Option<Cause> {
        let stopped = self.stopped.load(Ordering::Acquire);
        [Cause::Cancelled, Cause::Deadline, Cause::Failure]
            .into_iter()
            .find(|cause| *cause as u8 == stopped)
    }

    /// Whether nothing may start any more. A token of the caller's is looked at too: the first
    /// runner that sees it stops the run.
    pub(crate) fn is_stopped(&self) -> bool {
        if self.cause().is_some() {
            return true;
        }
        let is_told = self.options.cancel.as_ref().is_some_and(CancellationToken::is_cancelled);
        if is_told {
            self.stop(Cause::Cancelled);
        }
        is_told
    }

    /// Stops the run: what has not begun is cancelled, and what is at work is told.
    pub(crate) fn stop(&self, cause: Cause) {
        let first =
            self.stopped.compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Acquire);
        if self.over.get().is_some() || first.is_err() {
            return;
        }
        let (now, mut ends) = (self.now(), 0);
        for (meta, slot) in self.plan.metas.iter().zip(&self.slots) {
            if slot.claim_to_end() {
                let kind = StepErrorKind::Cancelled(None);
                let error = StepError { step: Arc::clone(&meta.name), attempts: 0, kind };
                self.close(meta.index, Err(Arc::new(error)), now);
                ends += 1;
            }
        }
        self.shared.cancel.cancel();
        self.ended(ends);
    }

    /// Stops the run if it fails fast and this step has failed.
    pub(crate) fn fail_fast(&self, step: u32) {
        if self.options.on_failure == OnFailure::FailFast
            && self.slot(step).state() == StepState::Failed
        {
            self.stop(Cause::Failure);
        }
    }

    async fn watch_deadline(self: Arc<Self>, limit: Duration) {
        let over = self.watchers.until(End::Run, || self.over().map(|_| ()));
        if tokio::time::timeout_at(self.begin + limit, over).await.is_err() {
            self.stop(Cause::Deadline);
        }
    }
}

impl<In: Send + Sync + 'static> Watched for Running<In> {
    fn info(&self) -> &RunInfo {
        &self.shared.info
    }

    fn steps(&self) -> &[StepMeta] {
        &self.plan.metas
    }

    fn snapshot(&self) -> Snapshot {
        let over = self.over();
        let steps = self.plan.metas.iter().zip(&self.slots);
        let at = (self.begin_time, self.now());
        let snapshot = Snapshot::of(&self.shared.info, steps, at, &self.notes);
        match over {
            Some(over) => snapshot.ended(&over.outcome, over.took),
            None => snapshot,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "when a run begins is told by the wall clock")]
fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
}
