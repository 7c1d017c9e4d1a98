use std::{error::Error, fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// What a body may fail with: any error, or a text.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a step did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepError {
    /// The name of the step.
    pub step: Arc<str>,
    /// How many attempts were made.
    pub attempts: u32,
    /// What happened.
    pub kind: StepErrorKind,
}

/// What happened to a step that did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StepErrorKind {
    /// Its body answered an error.
    Failed(BoxError),
    /// Its body, its retry rule, or what was put around it panicked, with this message.
    Panicked(String),
    /// The last attempt took longer than this.
    TimedOut(Duration),
    /// It was not begun, because a step that it depends on did not succeed.
    Skipped {
        /// The dependency.
        via: Arc<str>,
        /// The error with which it began.
        root: Arc<StepError>,
    },
    /// It was not begun, or not finished, because the run was stopped. If its body said something
    /// on its way out, this is it.
    Cancelled(Option<BoxError>),
}

impl StepErrorKind {
    /// A stable word for it: `failed`, `panicked`, `timeout`, `skipped` or `cancelled`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::TimedOut(_) => "timeout",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// The same in a run that was stopped: what the body said is kept.
    pub(crate) fn cancelled(self) -> Self {
        match self {
            Self::Failed(error) | Self::Cancelled(Some(error)) => Self::Cancelled(Some(error)),
            _ => Self::Cancelled(None),
        }
    }
}

impl StepError {
    /// The stable word for what happened.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The error with which it began: of a step that was skipped, that of the step which failed.
    #[must_use]
    pub fn root(&self) -> &Self {
        match &self.kind {
            StepErrorKind::Skipped { root, .. } => root,
            _ => self,
        }
    }

    /// The error of the body, if it is one of this type; of a step that was skipped, the error of
    /// the step which failed.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.root().kind {
            StepErrorKind::Failed(error) | StepErrorKind::Cancelled(Some(error)) => {
                error.downcast_ref()
            }
            _ => None,
        }
    }
}

impl fmt::Display for StepErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::TimedOut(limit) => write!(f, "timed out after {limit:?}"),
            Self::Skipped { via, root } if *via == root.step => write!(f, "skipped: {root}"),
            Self::Skipped { via, root } => {
                write!(f, "skipped: it waited for step {via:?}, and {root}")
            }
            Self::Cancelled(None) => f.write_str("was cancelled"),
            Self::Cancelled(Some(error)) => write!(f, "was cancelled: {error}"),
        }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {:?} {}", self.step, self.kind)
    }
}

/// The text says what the body's error says; the source is what is behind that.
impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            StepErrorKind::Failed(error) | StepErrorKind::Cancelled(Some(error)) => error.source(),
            StepErrorKind::Skipped { root, .. } => root.source(),
            _ => None,
        }
    }
}

impl Serialize for StepError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("StepError", 3)?;
        error.serialize_field("step", &self.step)?;
        error.serialize_field("code", self.code())?;
        error.serialize_field("message", &self.to_string())?;
        error.end()
    }
}

/// Why a run, or a wait for it, did not end well.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FlowError {
    /// A step failed. For a run it is the first one that did; for an output, the step itself,
    /// which may have been skipped.
    StepFailed(Arc<StepError>),
    /// The run was cancelled; the first step, in the order of definition, that was left.
    Cancelled(Arc<StepError>),
    /// The time of the run was over; the first step, in the order of definition, that was left.
    DeadlineExceeded(Arc<StepError>),
    /// The time to wait was over. The run goes on.
    WaitTimeout(Duration),
    /// The handle is one of another flow.
    ForeignStep,
}

impl FlowError {
    /// A stable word for it: `step_failed`, `cancelled`, `deadline_exceeded`, `wait_timeout` or
    /// `foreign_step`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::StepFailed(_) => "step_failed",
            Self::Cancelled(_) => "cancelled",
            Self::DeadlineExceeded(_) => "deadline_exceeded",
            Self::WaitTimeout(_) => "wait_timeout",
            Self::ForeignStep => "foreign_step",
        }
    }

    /// The error of the step that it is about.
    #[must_use]
    pub fn step(&self) -> Option<&Arc<StepError>> {
        match self {
            Self::StepFailed(error) | Self::Cancelled(error) | Self::DeadlineExceeded(error) => {
                Some(error)
            }
            Self::WaitTimeout(_) | Self::ForeignStep => None,
        }
    }

    /// The error with which it began: of a step that was skipped, that of the step which failed.
    #[must_use]
    pub fn root(&self) -> Option<&StepError> {
        self.step().map(|error| error.root())
    }

    /// The error of the body behind it, if it is one of this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.step()?.downcast_ref()
    }
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepFailed(error) => error.fmt(f),
            Self::Cancelled(error) => write!(f, "the run was cancelled: {error}"),
            Self::DeadlineExceeded(error) => write!(f, "the run took too long: {error}"),
            Self::WaitTimeout(limit) => {
                write!(f, "the run was not over after {limit:?}; it goes on")
            }
            Self::ForeignStep => f.write_str("the step is one of another flow"),
        }
    }
}

impl Error for FlowError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.step().and_then(|error| error.source())
    }
}
