use std::time::Duration;

use crate::{Counts, FlowError, RunInfo, Snapshot, StepError, StepMeta, StepState};

/// Is told what happens in runs.
///
/// It is called by the tasks that run the steps, so it must not block; what takes time goes into a
/// task of its own. A panic in it is caught and changes nothing.
///
/// Of each run, [`Event::RunStarted`] comes first, [`Event::RunDone`] last and before
/// [`Run::wait`](crate::Run::wait) returns, and of each step [`Event::StepStarted`] before
/// [`Event::StepDone`], which comes once. Events of different steps come from different threads.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened.
    fn on(&self, run: &RunView<'_>, event: &Event<'_>);
}

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins.
    RunStarted,
    /// An attempt begins.
    StepStarted {
        /// The step.
        step: &'a StepMeta,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// An attempt has failed, and another one follows.
    Retrying {
        /// The step.
        step: &'a StepMeta,
        /// The number of the attempt that failed.
        attempt: u32,
        /// Why it did.
        error: &'a StepError,
        /// The pause before the next one.
        delay: Duration,
    },
    /// A step is over, or was never begun.
    StepDone {
        /// The step.
        step: &'a StepMeta,
        /// How it ended.
        state: StepState,
        /// How many attempts it took.
        attempts: u32,
        /// When the first of them began, since the begin of the run.
        started: Option<Duration>,
        /// From there to the end.
        took: Option<Duration>,
        /// Why it did not succeed.
        error: Option<&'a StepError>,
    },
    /// The run is over.
    RunDone {
        /// How it ended.
        outcome: &'a Result<(), FlowError>,
        /// How many steps ended how.
        counts: Counts,
    },
}

/// A run, as its observers see it.
pub struct RunView<'a> {
    run: &'a dyn Watched,
}

/// What there is to see of a run of any input.
pub(crate) trait Watched {
    fn info(&self) -> &RunInfo;
    fn steps(&self) -> &[StepMeta];
    fn snapshot(&self) -> Snapshot;
}

impl<'a> RunView<'a> {
    pub(crate) fn new(run: &'a dyn Watched) -> Self {
        Self { run }
    }

    /// Which run it is.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        self.run.info()
    }

    /// The steps, in the order of definition.
    #[must_use]
    pub fn steps(&self) -> &[StepMeta] {
        self.run.steps()
    }

    /// The run as it stands. It takes as long as there are steps.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.run.snapshot()
    }
}
