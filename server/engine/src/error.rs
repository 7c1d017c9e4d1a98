use std::convert::Infallible;

use jobtracker_model::{
    DeliveryId, FieldError, JobId, ProblemCode, Standing, State, Timestamp, upload::UploadId,
};
use jobtracker_store::Error as StoreError;

/// When a caller that met a full queue may try again.
const RETRY_AFTER_MS: u64 = 250;

/// Why an operation was refused or failed, by what the caller can do about it. Unless a variant
/// says otherwise, nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue is full.
    #[error("the queue is full; send it again in {retry_after_ms} ms")]
    Overloaded {
        /// When another try may succeed.
        retry_after_ms: u64,
    },
    /// The engine takes no more work.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// There is no such job.
    #[error("there is no job {0}")]
    JobNotFound(JobId),
    /// The tree was deleted.
    #[error("tree {root} was deleted at {time} by {by}")]
    Gone {
        /// The root.
        root: JobId,
        /// When.
        time: Timestamp,
        /// The principal, or the retention rule, that asked for it.
        by: String,
    },
    /// The id cannot be used again.
    #[error("id {0} was that of a job whose tree was deleted; choose another")]
    IdDeleted(JobId),
    /// Trees are deleted by their roots.
    #[error("job {id} is not a root; its tree is {root}")]
    NotARoot {
        /// The job.
        id: JobId,
        /// The root of its tree.
        root: JobId,
    },
    /// The tree has changed since it was judged.
    #[error("tree {0} has changed meanwhile")]
    TreeChanged(JobId),
    /// There is no such parent.
    #[error("there is no job {0} to be the parent")]
    ParentNotFound(JobId),
    /// There is no such attachment.
    #[error("job {id} has no attachment {key:?}")]
    AttachmentNotFound {
        /// The job.
        id: JobId,
        /// The attachment's key.
        key: String,
    },
    /// The id names another job.
    #[error("job {0} is there with another definition or parent")]
    IdConflict(JobId),
    /// The change id or append id was used for something else.
    #[error("job {id} has used the id {repeat:?} for other content")]
    RepeatConflict {
        /// The job.
        id: JobId,
        /// The change id or append id.
        repeat: String,
    },
    /// The job is not in the state that the change expects.
    #[error(
        "job {id} last reported {}, is {}, and has {} changes",
        stands.last,
        stands.state,
        stands.changes
    )]
    UnexpectedState {
        /// The job.
        id: JobId,
        /// The job's present standing.
        stands: Standing,
    },
    /// Not a state that a job can report.
    #[error("a job cannot report {0}")]
    StateNotAllowed(State),
    /// The job is its own parent.
    #[error("job {0} cannot be its own parent")]
    ParentIsSelf(JobId),
    /// The parent is at the greatest depth that a tree may have.
    #[error("job {0} stands at the greatest depth and can have no children")]
    TooDeep(JobId),
    /// The same id twice in one request.
    #[error("the id {0} is in the request twice")]
    DuplicateId(JobId),
    /// The job has as many changes as a job may have.
    #[error("job {0} has as many state changes as a job may have")]
    TooManyChanges(JobId),
    /// The job's log is full.
    #[error("the log of job {0} has no room for these lines")]
    LogFull(JobId),
    /// The job has as many attachments as a job may have.
    #[error("job {0} has as many attachments as a job may have")]
    TooManyAttachments(JobId),
    /// The job has as many actions as a job may have.
    #[error("job {0} has as many actions as a job may have")]
    TooManyActions(JobId),
    /// The job has, or had, as many checks as a job may have.
    #[error("job {0} has, or had, as many checks as a job may have")]
    TooManyChecks(JobId),
    /// The job is finished in a state that the action names.
    #[error("job {id} is {state} already, so this action would not fire for that")]
    AlreadyInState {
        /// The job.
        id: JobId,
        /// Its state.
        state: State,
    },
    /// There is no such check.
    #[error("job {id} has no check {number}")]
    CheckNotFound {
        /// The job.
        id: JobId,
        /// The number.
        number: u32,
    },
    /// The check has been made.
    #[error("check {number} of job {id} has been made")]
    CheckIsOver {
        /// The job.
        id: JobId,
        /// The number.
        number: u32,
    },
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    DeliveryNotFound(DeliveryId),
    /// The delivery was received.
    #[error("delivery {0} was received")]
    DeliveryIsOver(DeliveryId),
    /// The job has no task.
    #[error("job {0} has no task")]
    TaskNotFound(JobId),
    /// The job's task is not on lease to the caller.
    #[error("the task of job {0} is not on lease to this caller, or not any more")]
    StaleLease(JobId),
    /// A worker has the job's task.
    #[error("a worker has the task of job {0}")]
    TaskIsRunning(JobId),
    /// A field is past its limit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Other servers kept changing the tree.
    #[error("tree {0} kept changing while this was computed")]
    Contention(JobId),
    /// A job of an upload whose parent was completed earlier in the stream.
    #[error("job {0} does not stand below its parent in the stream")]
    ParentAfterChild(JobId),
    /// A creation or change of an upload with a number that is not larger than the one before.
    #[error("job {0} has a record that is not in the order of recording")]
    OutOfOrder(JobId),
    /// A job of an upload that belongs to another tree.
    #[error("job {0} belongs to another tree")]
    OtherTree(JobId),
    /// An upload that is past a limit.
    #[error("{0}")]
    CommitTooLarge(String),
    /// The same upload is coming in on another connection.
    #[error("upload {0} is coming in on another connection")]
    CommitInProgress(UploadId),
    /// The same upload was sent with other content.
    #[error("upload {0} was sent before with other content for this tree")]
    CommitConflict(UploadId),
    /// An upload that was recorded under another rule for updates to finished jobs.
    #[error("the upload was recorded under another rule for updates to finished jobs")]
    OtherRules,
    /// What is wrong with a record of an upload.
    #[error("record {position}: {error}")]
    AtRecord {
        /// The number of the record in the stream.
        position: u64,
        /// The error.
        #[source]
        error: Box<Error>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::IdDeleted(id) => Self::IdDeleted(id),
            error => Self::Store(error),
        }
    }
}

impl Error {
    /// A bound of the engine's load is reached.
    pub(crate) fn overloaded() -> Self {
        Self::Overloaded { retry_after_ms: RETRY_AFTER_MS }
    }

    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        use ProblemCode as Code;
        match self {
            Self::Overloaded { .. } => Code::Overloaded,
            Self::ShuttingDown => Code::ShuttingDown,
            Self::JobNotFound(_) => Code::JobNotFound,
            Self::Gone { .. } | Self::IdDeleted(_) => Code::Gone,
            Self::NotARoot { .. } => Code::NotARoot,
            Self::TreeChanged(_) => Code::Contention,
            Self::ParentNotFound(_) => Code::ParentNotFound,
            Self::AttachmentNotFound { .. } => Code::AttachmentNotFound,
            Self::IdConflict(_) => Code::IdConflict,
            Self::RepeatConflict { .. } => Code::RepeatConflict,
            Self::UnexpectedState { .. } => Code::UnexpectedState,
            Self::StateNotAllowed(_) => Code::StateNotAllowed,
            Self::ParentIsSelf(_) => Code::ParentIsSelf,
            Self::TooDeep(_) => Code::TooDeep,
            Self::DuplicateId(_) => Code::DuplicateId,
            Self::TooManyChanges(_) => Code::TooManyChanges,
            Self::LogFull(_) => Code::LogFull,
            Self::TooManyAttachments(_) => Code::TooManyAttachments,
            Self::TooManyActions(_) => Code::TooManyActions,
            Self::TooManyChecks(_) => Code::TooManyChecks,
            Self::AlreadyInState { .. } => Code::AlreadyInState,
            Self::CheckNotFound { .. } => Code::CheckNotFound,
            Self::CheckIsOver { .. } => Code::CheckIsOver,
            Self::DeliveryNotFound(_) => Code::DeliveryNotFound,
            Self::DeliveryIsOver(_) => Code::DeliveryIsOver,
            Self::TaskNotFound(_) => Code::TaskNotFound,
            Self::StaleLease(_) => Code::StaleLease,
            Self::TaskIsRunning(_) => Code::TaskIsRunning,
            Self::Field(_) => Code::InvalidField,
            Self::Contention(_) => Code::Contention,
            Self::ParentAfterChild(_) => Code::ParentAfterChild,
            Self::OutOfOrder(_) => Code::OutOfOrder,
            Self::OtherTree(_) => Code::OtherTree,
            Self::CommitTooLarge(_) => Code::CommitTooLarge,
            Self::CommitInProgress(_) => Code::CommitInProgress,
            Self::CommitConflict(_) => Code::CommitConflict,
            Self::OtherRules => Code::OtherRules,
            Self::AtRecord { error, .. } => error.code(),
            Self::Store(error) => store_code(error),
        }
    }

    /// Whether the error is final, and the caller's to correct.
    pub(crate) fn is_refusal(&self) -> bool {
        !self.code().is_transient() && self.code().status() < 500
    }

    /// Whether the error comes from the store, in words that may name files and hosts.
    #[must_use]
    pub fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// The number of the record of an upload that the error is about.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::AtRecord { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The same error about a record of an upload, unless it has the number of a record already.
    pub(crate) fn at(self, position: u64) -> Self {
        match self {
            Self::AtRecord { .. } => self,
            error => Self::AtRecord { position, error: Box::new(error) },
        }
    }

    /// The error in words, as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}.", first.unwrap_or_default(), letters.as_str())
    }
}

/// A job that was checked before has no error when it is taken.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn store_code(error: &StoreError) -> ProblemCode {
    use ProblemCode as Code;
    match error {
        StoreError::UnknownJob(_) => Code::JobNotFound,
        StoreError::BadCursor { .. } => Code::InvalidCursor,
        StoreError::Stale { .. } => Code::Contention,
        StoreError::Full(_) | StoreError::IdsExhausted(_) => Code::StoreFull,
        StoreError::Unavailable(_) => Code::StoreUnavailable,
        StoreError::OutcomeUnknown(_) => Code::OutcomeUnknown,
        StoreError::Corrupt(_) => Code::StoreCorrupt,
        _ => Code::Internal,
    }
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;
