use std::sync::Arc;

use crate::{Run, RunId, RunOptions, StepId, StepState, run::count, slot::Slot};

/// What a re-run runs again. All other steps keep the outputs that they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rerun {
    /// Every step that has no output.
    Unfinished,
    /// This step and all that depends on it, however far away, and every step that has no output.
    From(StepId),
}

impl Rerun {
    /// [`Rerun::From`], with a handle.
    #[must_use]
    pub fn from(step: impl Into<StepId>) -> Self {
        Self::From(step.into())
    }
}

/// Why a run cannot be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RerunError {
    /// It is not over.
    #[error("the run is not over; wait for it, or cancel it, before it is run again")]
    NotFinished,
    /// The step is one of another flow.
    #[error("the step is one of another flow")]
    ForeignStep,
}

impl RerunError {
    /// A stable word for it: `not_finished` or `foreign_step`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFinished => "not_finished",
            Self::ForeignStep => "foreign_step",
        }
    }
}

impl<In: Send + Sync + 'static, Out: Send + Sync + 'static> Run<In, Out> {
    /// Starts a new run that continues this one: with the same input, and with the outputs of the
    /// steps that are not run again. It has the options of this one, without its id and its token.
    /// This run stays as it is.
    ///
    /// # Errors
    /// See [`RerunError`].
    pub fn rerun(&self, what: Rerun) -> Result<Self, RerunError> {
        let options = RunOptions { id: None, cancel: None, ..self.running.options.clone() };
        self.rerun_with(what, options)
    }

    /// The same with other options.
    ///
    /// # Errors
    /// See [`RerunError`].
    pub fn rerun_with(&self, what: Rerun, options: RunOptions) -> Result<Self, RerunError> {
        if self.running.over().is_none() {
            return Err(RerunError::NotFinished);
        }
        let again = self.again(what)?;
        let slots = self.flow.plan.metas.iter().map(|meta| {
            let is_again = |step: u32| again[step as usize];
            if is_again(meta.index) {
                let open = meta.needs.iter().filter(|need| is_again(need.step)).count();
                return Slot::waiting(count(open));
            }
            let outcome = self.running.slot(meta.index).outcome();
            Slot::reused(outcome.expect("a run that is over has an outcome of each step").clone())
        });
        let slots = slots.collect();
        let id = options.id.clone().unwrap_or_else(RunId::random);
        let names = (id, Some(self.id().clone()), self.info().first.clone());
        let input = Arc::clone(&self.running.shared.input);
        Ok(Self::start_as(self.flow.clone(), input, options, slots, names))
    }

    /// For each step, whether it is run again.
    fn again(&self, what: Rerun) -> Result<Vec<bool>, RerunError> {
        let plan = &self.flow.plan;
        let states = self.running.slots.iter().map(Slot::state);
        let mut again: Vec<bool> = states.map(|state| !StepState::is_success(state)).collect();
        if let Rerun::From(step) = what {
            if !plan.has(step) {
                return Err(RerunError::ForeignStep);
            }
            let mut below = vec![false; again.len()];
            below[step.index as usize] = true;
            // What depends on a step stands after it.
            for index in step.index..count(below.len()) {
                if below[index as usize] {
                    again[index as usize] = true;
                    for edge in plan.edges(index) {
                        below[edge.dependant as usize] = true;
                    }
                }
            }
        }
        Ok(again)
    }
}
