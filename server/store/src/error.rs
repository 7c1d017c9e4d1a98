use jobtracker_model::JobId;

use crate::DocumentId;

/// What a store could not do, grouped by what a caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A list was asked of a job that does not exist.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// A list of descendants of one job was to go on behind a job that is not below it.
    #[error("job {after} is not below job {of}")]
    BadCursor {
        /// The job at the top of the list.
        of: JobId,
        /// The job behind which the list was to go on.
        after: JobId,
    },
    /// The tree has moved since it was loaded: load it again and compute again. Nothing was done.
    #[error("tree {root} is no longer at the version that was loaded")]
    Stale {
        /// The tree.
        root: JobId,
    },
    /// The id was that of a job of a deleted tree, and is kept from being used again. Nothing was
    /// done.
    #[error("id {0} was that of a job whose tree was deleted")]
    IdDeleted(JobId),
    /// The document is not at the version that was expected: read it again. Nothing was done.
    #[error("document {0} is not at the version that was expected")]
    StaleDocument(DocumentId),
    /// A follow-up that is in a list by time was to be staged. It belongs into the commit that
    /// publishes the stage. Nothing was done.
    #[error("a follow-up of job {0} is in a list by time, so it cannot be staged")]
    NotStaged(JobId),
    /// There is no space left. Nothing was done.
    #[error("no space left in the store: {0}")]
    Full(String),
    /// There are not enough ids left.
    #[error("no block of {0} ids is left")]
    IdsExhausted(u32),
    /// The store does not accept this request now. Nothing was done.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It is not known whether it was done. A commit may be repeated unchanged, since its version
    /// lets it be applied only once.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// Stored data cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Another process has the data open.
    #[error("{0} is in use by another process; one process may have it open")]
    Locked(String),
    /// The data was written by a newer version of this program.
    #[error(
        "the data has format {found}, this program knows formats up to {known}; \
         start the newer version that wrote it"
    )]
    NewerFormat {
        /// The format of the data.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The directory or address of the data cannot be used.
    #[error("cannot use {place}: {reason}")]
    Unusable {
        /// The directory or address.
        place: String,
        /// Why not, and what to do.
        reason: String,
    },
}

/// The result of asking a store for something.
pub type Result<T> = std::result::Result<T, Error>;
