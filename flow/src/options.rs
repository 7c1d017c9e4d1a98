use std::{fmt, sync::Arc, time::Duration};

use jobtracker_client::JobId;
use tokio_util::sync::CancellationToken;

use crate::{Observer, Parent, RunId};

/// What a failed step means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// What does not depend on it goes on.
    #[default]
    KeepGoing,
    /// The run is stopped: nothing starts any more, and what is at work is cancelled.
    FailFast,
}

/// How a run is run. Everything has a default.
#[derive(Clone, Default)]
#[must_use]
pub struct RunOptions {
    pub(crate) id: Option<RunId>,
    pub(crate) parent: Option<Parent>,
    pub(crate) cancel: Option<CancellationToken>,
    pub(crate) max_concurrency: Option<usize>,
    pub(crate) on_failure: OnFailure,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
}

impl RunOptions {
    /// The defaults: a random id, no limits, [`OnFailure::KeepGoing`], no grace, no observers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the run. Names should be unique: [`Cx::key`](crate::Cx::key) is made of them.
    pub fn id(mut self, id: impl Into<RunId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Records the run under this job instead of as a root.
    pub fn parent(mut self, job: JobId) -> Self {
        self.parent = Some(Parent::Job(job));
        self
    }

    /// Cancels the run when this token is cancelled.
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// How many bodies may be at work at once; of the steps that are ready, the one that was
    /// defined first goes first. 0 means no limit, which is the default; 1 runs the flow in the
    /// order of its definition.
    pub fn max_concurrency(mut self, bodies: usize) -> Self {
        self.max_concurrency = Some(bodies).filter(|bodies| *bodies > 0);
        self
    }

    /// What a failed step means for the others.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// How long the run may take. Then it is stopped.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// How long a body may take to end by itself once it was told to. Then its future is dropped.
    /// None by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Tells this one what happens; a run may have several.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, parent, cancel, max_concurrency, on_failure, deadline, grace, observers } =
            self;
        f.debug_struct("RunOptions")
            .field("id", id)
            .field("parent", parent)
            .field("cancel", cancel)
            .field("max_concurrency", max_concurrency)
            .field("on_failure", on_failure)
            .field("deadline", deadline)
            .field("grace", grace)
            .field("observers", &observers.len())
            .finish()
    }
}
