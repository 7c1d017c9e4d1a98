use std::{fmt, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    Flow, FlowError, RunId, RunInfo, RunOptions, Snapshot, Step, StepErrorKind, StepId,
    cx::Shared,
    deps::typed,
    observer::Watched,
    runner,
    running::{Cause, Running},
    slot::{Outcome, Slot, Value},
    watch::End,
};

/// A run of a flow, at work or over. A clone is the same run. Dropping it does not stop the run;
/// see [`cancel_on_drop`](Self::cancel_on_drop).
pub struct Run<In, Out = ()> {
    pub(crate) flow: Flow<In, Out>,
    pub(crate) running: Arc<Running<In>>,
}

impl<In: Send + Sync + 'static, Out: Send + Sync + 'static> Flow<In, Out> {
    /// Starts a run and returns at once. It has to be called inside a runtime of tokio with time
    /// enabled, which runs the steps.
    ///
    /// # Panics
    /// There is no runtime.
    pub fn start(&self, input: In) -> Run<In, Out> {
        self.start_with(input, RunOptions::new())
    }

    /// Starts a run with options. The input may be an `Arc`.
    ///
    /// # Panics
    /// There is no runtime.
    pub fn start_with(&self, input: impl Into<Arc<In>>, options: RunOptions) -> Run<In, Out> {
        Run::start(self.clone(), input.into(), options)
    }

    /// Runs the flow to the end of every step, and answers the output. If this is dropped before,
    /// the run is cancelled.
    ///
    /// # Errors
    /// A step failed.
    pub async fn run(&self, input: In) -> Result<Arc<Out>, FlowError> {
        let run = self.start(input);
        let _stop = run.cancel_on_drop();
        run.wait().await?;
        run.result().await
    }
}

impl<In: Send + Sync + 'static, Out: Send + Sync + 'static> Run<In, Out> {
    fn start(flow: Flow<In, Out>, input: Arc<In>, options: RunOptions) -> Self {
        let slots = flow.plan.metas.iter().map(|meta| Slot::waiting(count(meta.needs.len())));
        let slots = slots.collect();
        let id = options.id.clone().unwrap_or_else(RunId::random);
        let first = id.clone();
        Self::start_as(flow, input, options, slots, (id, None, first))
    }

    /// Starts a run under these names: its own, that of the run that it continues, and that of the
    /// first one.
    pub(crate) fn start_as(
        flow: Flow<In, Out>,
        input: Arc<In>,
        options: RunOptions,
        slots: Box<[Slot]>,
        (id, origin, first): (RunId, Option<RunId>, RunId),
    ) -> Self {
        let cancel = match &options.cancel {
            Some(token) => token.child_token(),
            None => CancellationToken::new(),
        };
        let info = RunInfo {
            id,
            origin,
            first,
            flow: Arc::clone(&flow.plan.name),
            parent: options.parent.clone(),
        };
        let observers = options.observers.clone();
        let plan = Arc::clone(&flow.plan);
        let metas = Arc::clone(&plan.metas);
        let shared = Shared { metas, input, info, cancel, observers };
        Self { flow, running: runner::start(plan, shared, slots, options) }
    }

    /// Which run it is.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        self.running.info()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.info().id
    }

    /// Waits until every step is over; nothing of the run is at work then, but for blocking bodies
    /// that were given up. It can be called any number of times, also after the end.
    ///
    /// # Errors
    /// The first failure. If no step failed, that the run was stopped before all steps succeeded.
    pub async fn wait(&self) -> Result<(), FlowError> {
        let over = || self.running.over().map(|over| over.outcome.clone());
        self.running.watchers.until(End::Run, over).await
    }

    /// Waits for so long at most. The run goes on.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and [`FlowError::WaitTimeout`].
    pub async fn wait_timeout(&self, limit: Duration) -> Result<(), FlowError> {
        let waited = tokio::time::timeout(limit, self.wait()).await;
        waited.unwrap_or(Err(FlowError::WaitTimeout(limit)))
    }

    /// Waits until a step is over, and answers its output; others may still be at work.
    ///
    /// # Errors
    /// It failed, was skipped or cancelled, or is a step of another flow.
    pub async fn output<T: Send + Sync + 'static>(
        &self,
        step: Step<T>,
    ) -> Result<Arc<T>, FlowError> {
        self.value(step.id()).await.map(|value| typed(&value))
    }

    /// Waits for the output of the run: until the step is over that has it. In a flow without one,
    /// until every step is over.
    ///
    /// # Errors
    /// Those of [`output`](Self::output), or of [`wait`](Self::wait).
    pub async fn result(&self) -> Result<Arc<Out>, FlowError> {
        let value = match self.flow.output {
            Some(step) => self.value(step).await?,
            None => {
                self.wait().await?;
                Arc::new(())
            }
        };
        Ok(typed(&value))
    }

    async fn value(&self, step: StepId) -> Result<Value, FlowError> {
        if !self.flow.plan.has(step) {
            return Err(FlowError::ForeignStep);
        }
        let slot = self.running.slot(step.index);
        let outcome: Outcome =
            self.running.watchers.until(End::Step(step.index), || slot.outcome().cloned()).await;
        outcome.map_err(|error| match error.kind {
            StepErrorKind::Cancelled(_) => self.running.stop_error(error),
            _ => FlowError::StepFailed(error),
        })
    }

    /// Stops the run: nothing starts any more; bodies at work are told, and their futures dropped
    /// when the grace is over. Steps that had not begun are cancelled when this returns. After the
    /// end of the run it does nothing.
    pub fn cancel(&self) {
        self.running.stop(Cause::Cancelled);
    }

    /// Something that cancels the run when it is dropped.
    #[must_use = "the run is cancelled when this is dropped"]
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        let run = Arc::clone(&self.running);
        CancelOnDrop(Some(Box::new(move || run.stop(Cause::Cancelled))))
    }

    /// The run as it stands. It takes as long as there are steps, and holds up none of them.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.running.snapshot()
    }
}

impl<In, Out> Clone for Run<In, Out> {
    fn clone(&self) -> Self {
        Self { flow: self.flow.clone(), running: Arc::clone(&self.running) }
    }
}

impl<In, Out> fmt::Debug for Run<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("info", &self.running.shared.info).finish_non_exhaustive()
    }
}

/// Cancels a run when it is dropped; see [`Run::cancel_on_drop`].
pub struct CancelOnDrop(Option<Box<dyn FnOnce() + Send + Sync>>);

impl CancelOnDrop {
    /// Lets the run go on.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = self.0.take() {
            stop();
        }
    }
}

impl fmt::Debug for CancelOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelOnDrop")
    }
}

pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).expect("edges are counted by u32")
}
