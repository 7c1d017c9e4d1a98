use jobtracker_model::{FieldError, JobId, State};

/// Why an operation was not done, by what the caller can do about it. Unless it says otherwise,
/// nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue is full.
    #[error("the queue is full; send it again in {retry_after_ms} ms")]
    Overloaded {
        /// When it may be worth another try.
        retry_after_ms: u64,
    },
    /// The engine takes no more work.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// There is no such job.
    #[error("there is no job {0}")]
    JobNotFound(JobId),
    /// There is no such parent.
    #[error("there is no job {0} to be the parent")]
    ParentNotFound(JobId),
    /// There is no such attachment.
    #[error("job {id} has no attachment {key:?}")]
    AttachmentNotFound {
        /// The job.
        id: JobId,
        /// The key.
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
        /// The sender's name for it.
        repeat: String,
    },
    /// Not a state that a job can report.
    #[error("a job cannot report {0}")]
    StateNotAllowed(State),
    /// The job is its own parent.
    #[error("job {0} cannot be its own parent")]
    ParentIsSelf(JobId),
    /// The parent stands as deep as a tree may grow.
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
    /// A field is past its limit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Other servers kept changing the tree.
    #[error("tree {0} kept changing while this was computed")]
    Contention(JobId),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] jobtracker_store::Error),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;
