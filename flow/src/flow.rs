use std::{fmt, marker::PhantomData, sync::Arc};

use crate::{StepId, StepMeta, plan::Plan};

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

impl<In, Out> Flow<In, Out> {
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
