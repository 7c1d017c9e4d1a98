use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use jobtracker_client::Error as ClientError;
use jobtracker_model::{FieldError, JobId, ProblemCode, Standing, State};

use crate::Flushed;

/// The result of asking a context for something.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call of a context failed, by what the caller can do about it.
///
/// Unless the variant says otherwise, nothing has been recorded then, and nothing is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such job, neither in the buffer nor on the service.
    #[error("there is no job {0}")]
    JobNotFound(JobId),
    /// There is no such parent, neither in the buffer nor on the service.
    #[error("there is no job {0} to be the parent")]
    ParentNotFound(JobId),
    /// The job is its own parent.
    #[error("job {0} cannot be its own parent")]
    ParentIsSelf(JobId),
    /// The parent is as deep as a tree may grow.
    #[error("job {0} is at the greatest depth and can have no children")]
    TooDeep(JobId),
    /// The id names another job.
    #[error("job {0} exists with another definition or parent")]
    IdConflict(JobId),
    /// The change id was used for another change.
    #[error("job {id} has used the id {repeat:?} for other content")]
    RepeatConflict {
        /// The job.
        id: JobId,
        /// The change id.
        repeat: String,
    },
    /// The job is not as the change expects it.
    #[error("job {id} last reported {}, and has {} changes", stands.last, stands.changes)]
    UnexpectedState {
        /// The job.
        id: JobId,
        /// How the context knows it.
        stands: Standing,
    },
    /// Not a state that a job can report.
    #[error("a job cannot report {0}")]
    StateNotAllowed(State),
    /// The job has as many changes as a job may have.
    #[error("job {0} has as many state changes as a job may have")]
    TooManyChanges(JobId),
    /// The job's log is full.
    #[error("the log of job {0} has no room for these lines")]
    LogFull(JobId),
    /// The tree has as much as one upload may have: 2,000,000 new jobs, as much about jobs that the
    /// service has as it takes at once (some 30,000 changes, of some 37,000 jobs), or new jobs with
    /// nearly 50,000 checks, and deliveries of actions that fire with the upload, one for each
    /// recipient. Flush, and record it again.
    #[error("tree {0} has as much as one upload may have; flush first")]
    TreeFull(JobId),
    /// A field is past its limit.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The cursor is not one of this list, or the job where the last page ended has left the
    /// buffer. Start again without one.
    #[error("the cursor does not belong to the children of job {0}")]
    InvalidCursor(JobId),
    /// The buffer is full, and this context was told to refuse then; or the operation is larger
    /// than the whole buffer, less the [refused](crate::JobTrackerContext::refused) trees. Flush,
    /// or take the refused trees, and record it again.
    #[error("the buffer is full: it has {operations} operations in {bytes} bytes")]
    Full {
        /// The operations in it.
        operations: u64,
        /// The bytes in it.
        bytes: u64,
    },
    /// The context has been committed or closed.
    #[error("the context is closed")]
    Closed,
    /// No id could be had for the new job.
    #[error("no ids could be reserved for new jobs")]
    NoIds(#[source] Arc<ClientError>),
    /// The range of ids that the context was given has come to its end.
    #[error("the context has used all ids that it was given")]
    IdsUsedUp,
    /// The service could not be asked for a job that is not in the buffer.
    #[error("job {id} could not be loaded")]
    Load {
        /// The job.
        id: JobId,
        /// Why not.
        source: Arc<ClientError>,
    },
    /// The answer of the service about a job that is not in the buffer makes no sense.
    #[error("the service's answer is not the path from job {0} to its root")]
    NotAPath(JobId),
    /// The recorded operations could not be sent. They are still here, under the upload id that it
    /// had, and the next flush begins with it; if it did arrive, it is not applied twice (as long
    /// as the service remembers uploads: 24 hours at least). If it is refused for what does not lie
    /// in it ([`is_retryable`](Self::is_retryable) is false, as for `other_rules` or
    /// `unauthorized`), nothing behind it is sent either until that has been set right.
    #[error("the recorded operations could not be sent; they are kept")]
    Flush(#[source] Arc<ClientError>),
    /// Trees were refused; the rest was applied. The context keeps the
    /// [refused trees](crate::JobTrackerContext::refused) until the caller saves or drops them;
    /// operations that were recorded since are applied or refused on their own.
    #[error("{} of {} trees were refused", flushed.refused, flushed.trees)]
    Refused {
        /// What became of everything that was sent.
        flushed: Box<Flushed>,
    },
    /// The journal cannot be read or written, on a full disk for instance. It is tried again every
    /// second, and by [`sync`](crate::JobTrackerContext::sync) and
    /// [`flush`](crate::JobTrackerContext::flush); until then nothing is recorded. What it does not
    /// have will not survive a crash; what is in memory can still be flushed.
    #[error("the journal {} failed", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// Another context has this journal open, here or in another process.
    #[error("the journal {} is in use", path.display())]
    JournalInUse {
        /// The file.
        path: PathBuf,
    },
    /// The journal holds what another context has recorded and not sent. Recover it first.
    #[error("the journal {} has unsent operations in it; recover it first", path.display())]
    JournalNotEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The journal is damaged, and there is more behind that place. It is as it was, and nothing of
    /// it was sent: what was recorded after the damage may stand on what is lost.
    /// [`salvage`](crate::JobTrackerContext::salvage) sends what can be read.
    #[error("the journal {} is damaged at byte {at}, before its end", path.display())]
    JournalDamaged {
        /// The file.
        path: PathBuf,
        /// The position of the damage.
        at: u64,
    },
    /// The disk failed when the journal was written, and then it was sent from memory: what is in
    /// the journal may have been sent under a name that it does not have. It is as it was, and
    /// nothing of it was sent. [`salvage`](crate::JobTrackerContext::salvage) sends it.
    #[error("what is in the journal {} may have been sent before its disk failed", path.display())]
    JournalInDoubt {
        /// The file.
        path: PathBuf,
    },
    /// Trees that were refused could not be saved to a file. They are still in the context.
    #[error("refused trees could not be saved to {}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The context cannot be built as asked.
    #[error("{0}")]
    Setup(&'static str),
}

impl Error {
    /// The code that the service has for the same mistake, if it is a mistake that the service
    /// knows.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        Some(match self {
            Self::JobNotFound(_) => ProblemCode::JobNotFound,
            Self::ParentNotFound(_) => ProblemCode::ParentNotFound,
            Self::ParentIsSelf(_) => ProblemCode::ParentIsSelf,
            Self::TooDeep(_) => ProblemCode::TooDeep,
            Self::IdConflict(_) => ProblemCode::IdConflict,
            Self::RepeatConflict { .. } => ProblemCode::RepeatConflict,
            Self::UnexpectedState { .. } => ProblemCode::UnexpectedState,
            Self::StateNotAllowed(_) => ProblemCode::StateNotAllowed,
            Self::TooManyChanges(_) => ProblemCode::TooManyChanges,
            Self::LogFull(_) => ProblemCode::LogFull,
            Self::Field(_) => ProblemCode::InvalidField,
            Self::InvalidCursor(_) => ProblemCode::InvalidCursor,
            Self::NoIds(source) | Self::Load { source, .. } | Self::Flush(source) => {
                return source.code();
            }
            _ => return None,
        })
    }

    /// Whether the same call may succeed later without any other change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. } | Self::TreeFull(_) | Self::JournalInUse { .. } => true,
            Self::Journal { source, .. } | Self::Save { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::NoIds(source) | Self::Load { source, .. } | Self::Flush(source) => {
                source.is_retryable()
            }
            _ => false,
        }
    }
}
