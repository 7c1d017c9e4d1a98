use std::{fmt, marker::PhantomData, sync::Arc};

use crate::{FlowError, Run, RunOptions, StepId, StepMeta, plan::Plan};

/// A flow that can be run, any number of times and at the same time. A clone is the same flow. It
/// does not change, so it can stand in a `static`.
///
/// `Out` is the output of a run: that of the step that
/// [`build_with`](crate::FlowBuilder::build_with) named, or `()`.
pub struct Flow<In, Out = ()> {
    pub(crate) plan: Arc<Plan<In>>,
    pub(crate) output: Option<StepId>,
    pub(crate) out: PhantomData<fn() -> Out>,
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

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its steps, in the order of definition.
    #[must_use]
    pub fn steps(&self) -> &[StepMeta] {
        &self.plan.metas
    }
}

impl<In, Out> Clone for Flow<In, Out> {
    fn clone(&self) -> Self {
        Self { plan: Arc::clone(&self.plan), output: self.output, out: PhantomData }
    }
}

impl<In, Out> fmt::Debug for Flow<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("name", &self.plan.name)
            .field("steps", &self.plan.metas.len())
            .finish_non_exhaustive()
    }
}
