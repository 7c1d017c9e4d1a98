use std::{error::Error as StdError, sync::Arc, time::Duration};

use jobtracker_model::{Problem, ProblemCode, Standing};

/// The result of asking the service for something.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, by what the caller can do about it.
///
/// The client has by then repeated each request that is worth repeating, so an error is final for
/// this call. [`is_retryable`](Self::is_retryable) says whether calling again later may help, and
/// [`outcome_unknown`](Self::outcome_unknown) whether a write may have been carried out all the
/// same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service answered with a problem.
    #[error("{problem}", problem = ShowProblem(problem))]
    Problem {
        /// The code, if this version of the client knows it.
        code: Option<ProblemCode>,
        /// The whole answer, with the field that is meant and the request id for the logs.
        problem: Box<Problem>,
        /// Whether this try or an earlier one of the same call may have been carried out.
        outcome_unknown: bool,
    },
    /// The service could not be reached, or the connection broke, or the request timed out.
    #[error("no answer from the service")]
    Transport {
        /// The error of the connection.
        source: reqwest::Error,
        /// False when no request can have reached the service; true when one may have been
        /// carried out although its answer was lost.
        outcome_unknown: bool,
    },
    /// The overall deadline of the call passed, or the next try would have begun after it.
    #[error("the deadline of the call passed")]
    DeadlineExceeded {
        /// Why the last complete try failed, if there was one.
        #[source]
        last: Option<Box<Error>>,
        /// Whether a try may have been carried out although its answer was lost.
        outcome_unknown: bool,
    },
    /// Something answered, but not as this service does: a proxy's page, a broken body, a body
    /// past the limit.
    #[error("the answer (status {status}) is not one of the service; it begins {excerpt:?}")]
    InvalidReply {
        /// The HTTP status.
        status: u16,
        /// The first 200 characters of the body.
        excerpt: String,
        /// What is wrong with the answer.
        source: Box<dyn StdError + Send + Sync>,
        /// Whether this try or an earlier one of the same call may have been carried out.
        outcome_unknown: bool,
    },
    /// No ids could be reserved for new jobs, so no job was created. Calls that waited for the
    /// same reservation share its error.
    #[error("no ids could be reserved for new jobs")]
    NoIds(#[source] Arc<Error>),
    /// The call cannot be put into a request, or the client cannot be built as asked. Nothing was
    /// sent.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong, and what would be right.
        reason: String,
        /// The error of the library that found it, if one did.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
}

impl Error {
    /// The code of the problem that the service answered with: of this error, or of the one that
    /// led to it.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Problem { code, .. } => *code,
            Self::NoIds(source) => source.code(),
            Self::DeadlineExceeded { last, .. } => last.as_ref()?.code(),
            Self::Transport { .. } | Self::InvalidReply { .. } | Self::InvalidRequest { .. } => {
                None
            }
        }
    }

    /// Whether the service says that the job, the parent, the attachment, the upload, or another
    /// thing that is asked for is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        use ProblemCode::{
            ActionNotFound, AttachmentNotFound, CheckNotFound, CommitNotFound, DeliveryNotFound,
            JobNotFound, ParentNotFound, RetentionRuleNotFound, ScheduleNotFound, TaskNotFound,
            TokenNotFound, WorkerNotFound,
        };
        matches!(
            self.code(),
            Some(
                JobNotFound
                    | ParentNotFound
                    | AttachmentNotFound
                    | CommitNotFound
                    | ActionNotFound
                    | CheckNotFound
                    | DeliveryNotFound
                    | TokenNotFound
                    | RetentionRuleNotFound
                    | TaskNotFound
                    | WorkerNotFound
                    | ScheduleNotFound
            )
        )
    }

    /// Whether the service says that the tree was deleted.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.code() == Some(ProblemCode::Gone)
    }

    /// Whether the service says that the same id, or the name of a token or schedule, is used for
    /// something else.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        use ProblemCode::{
            CommitConflict, IdConflict, RepeatConflict, ScheduleExists, TokenExists,
        };
        matches!(
            self.code(),
            Some(IdConflict | RepeatConflict | CommitConflict | ScheduleExists | TokenExists)
        )
    }

    /// Whether the same call may succeed later. The client has tried as often as its policy
    /// says; a caller who calls again should wait first. To call a write again safely after
    /// [`outcome_unknown`](Self::outcome_unknown), the caller must have chosen its ids.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem { code, problem, .. } => {
                code.is_some_and(ProblemCode::is_transient) || is_transient(problem.status)
            }
            Self::Transport { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::InvalidReply { status, .. } => is_transient(*status),
            Self::DeadlineExceeded { .. } => true,
            Self::NoIds(source) => source.is_retryable(),
            Self::InvalidRequest { .. } => false,
        }
    }

    /// Whether a write may have been carried out, by any try of the call, although it failed. For
    /// a read it says nothing. When in doubt it is true.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Problem { outcome_unknown, .. }
            | Self::Transport { outcome_unknown, .. }
            | Self::DeadlineExceeded { outcome_unknown, .. }
            | Self::InvalidReply { outcome_unknown, .. } => *outcome_unknown,
            Self::NoIds(_) | Self::InvalidRequest { .. } => false,
        }
    }

    /// How long the service asks to wait before the next try, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { problem, .. } => problem.retry_after_ms.map(Duration::from_millis),
            Self::NoIds(source) => source.retry_after(),
            Self::DeadlineExceeded { last, .. } => last.as_ref()?.retry_after(),
            Self::Transport { .. } | Self::InvalidReply { .. } | Self::InvalidRequest { .. } => {
                None
            }
        }
    }

    /// How a job stands, if a change [expected](jobtracker_model::NewChange::expect) it to be
    /// otherwise.
    #[must_use]
    pub fn stands(&self) -> Option<Standing> {
        match self {
            Self::Problem { problem, .. } => problem.stands,
            _ => None,
        }
    }

    pub(crate) fn problem(problem: Problem) -> Self {
        use ProblemCode::{Internal, OutcomeUnknown, StoreCorrupt, StoreUnavailable};
        let code = ProblemCode::from_code(&problem.code);
        let outcome_unknown = match code {
            Some(Internal | OutcomeUnknown | StoreCorrupt | StoreUnavailable) => true,
            Some(_) => false,
            None => problem.status >= 500,
        };
        Self::Problem { code, problem: Box::new(problem), outcome_unknown }
    }

    pub(crate) fn transport(source: reqwest::Error) -> Self {
        let outcome_unknown = !source.is_connect() && !source.is_builder();
        // The address may carry what a log should not; the caller knows it anyway.
        Self::Transport { source: source.without_url(), outcome_unknown }
    }

    pub(crate) fn invalid_reply(
        status: u16,
        body: &[u8],
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        // Cut before decoding: the body may be large. Four bytes are the longest character.
        let start = String::from_utf8_lossy(&body[..body.len().min(EXCERPT * 4)]);
        let excerpt = start.chars().take(EXCERPT).collect();
        // Behind a refusal (3xx, 4xx) no work is done; behind anything else it may have been.
        let outcome_unknown = !(300..500).contains(&status);
        Self::InvalidReply { status, excerpt, source: source.into(), outcome_unknown }
    }

    pub(crate) fn invalid_request(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into(), source: None }
    }

    pub(crate) fn invalid_request_from(
        reason: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::InvalidRequest { reason: reason.into(), source: Some(source.into()) }
    }

    /// The same error after earlier tries, of which one may have been carried out.
    pub(crate) fn after(mut self, unknown: bool) -> Self {
        match &mut self {
            Self::Problem { outcome_unknown, .. }
            | Self::Transport { outcome_unknown, .. }
            | Self::DeadlineExceeded { outcome_unknown, .. }
            | Self::InvalidReply { outcome_unknown, .. } => *outcome_unknown |= unknown,
            Self::NoIds(_) | Self::InvalidRequest { .. } => {}
        }
        self
    }
}

/// Characters of a body that an error shows.
const EXCERPT: usize = 200;

/// The statuses that mean "later", from the service or from a proxy.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 502 | 503 | 504)
}

struct ShowProblem<'a>(&'a Problem);

impl std::fmt::Display for ShowProblem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { code, status, detail, field, request_id, .. } = self.0;
        write!(f, "{code} ({status})")?;
        if let Some(field) = field {
            write!(f, " in {field}")?;
        }
        write!(f, ": {detail}")?;
        if let Some(id) = request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}
