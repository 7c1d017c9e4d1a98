use std::{borrow::Cow, fmt, sync::Arc};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use jobtracker_engine::Error as EngineError;
use jobtracker_model::{FieldError, JobId, Problem, ProblemCode, Standing, upload::StreamError};
use jobtracker_scheduler::Error as ScheduleError;
use jobtracker_store::Error as StoreError;

use crate::{
    access::{AuditError, Refused, SessionError, TokenError},
    retention::{DeletionError, RuleError},
    tasks::WorkerError,
};

/// Why a request is refused or failed. The middleware makes the reply of it, since the middleware
/// alone knows the request id.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: ProblemCode,
    detail: Cow<'static, str>,
    field: Option<String>,
    stands: Option<Standing>,
    retry_after_ms: Option<u64>,
    /// For the log only: not for the client.
    cause: Option<String>,
    allow: Option<Arc<str>>,
    /// The job that is not there: it may have been deleted.
    missing: Option<JobId>,
}

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_ms = retry_after_ms(code);
        let detail = detail.into();
        Self(Box::new(Inner {
            code,
            detail,
            field: None,
            stands: None,
            retry_after_ms,
            cause: None,
            allow: None,
            missing: None,
        }))
    }

    /// A parameter of the query string or the path that cannot be understood.
    pub fn query(parameter: &str, reason: impl fmt::Display) -> Self {
        Self::new(ProblemCode::InvalidQuery, format!("{parameter}: {reason}.")).field(parameter)
    }

    pub fn invalid_field(field: &str, reason: impl fmt::Display) -> Self {
        Self::new(ProblemCode::InvalidField, format!("{field}: {reason}.")).field(field)
    }

    pub fn job_not_found(id: JobId) -> Self {
        Self::new(ProblemCode::JobNotFound, format!("There is no job {id}.")).missing(id)
    }

    pub fn method_not_allowed(allow: Arc<str>) -> Self {
        let mut error = Self::new(ProblemCode::MethodNotAllowed, format!("It takes {allow}."));
        error.0.allow = Some(allow);
        error
    }

    pub fn code(&self) -> ProblemCode {
        self.0.code
    }

    /// The methods for the Allow header, if that is what went wrong.
    pub fn allow(&self) -> Option<&str> {
        self.0.allow.as_deref()
    }

    /// The job that is not there, if that is what went wrong.
    pub fn missing_job(&self) -> Option<JobId> {
        self.0.missing
    }

    fn missing(mut self, id: JobId) -> Self {
        self.0.missing = Some(id);
        self
    }

    /// The text for the log.
    pub fn log_text(&self) -> &str {
        self.0.cause.as_deref().unwrap_or(&self.0.detail)
    }

    pub fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms
    }

    pub fn to_problem(&self, request_id: &str) -> Problem {
        let mut problem = Problem::new(self.0.code, &self.0.detail);
        problem.field.clone_from(&self.0.field);
        problem.stands = self.0.stands;
        problem.retry_after_ms = self.0.retry_after_ms;
        problem.request_id = Some(request_id.to_owned());
        problem
    }

    pub fn field(mut self, name: &str) -> Self {
        self.0.field = Some(name.to_owned());
        self
    }

    fn stands(mut self, stands: Standing) -> Self {
        self.0.stands = Some(stands);
        self
    }

    fn retry_after(mut self, millis: u64) -> Self {
        self.0.retry_after_ms = Some(millis);
        self
    }

    fn caused_by(mut self, cause: &dyn fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// A problem for any other refusal by actix.
    pub fn from_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => ProblemCode::RouteNotFound,
            StatusCode::REQUEST_TIMEOUT => ProblemCode::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::BodyTooLarge,
            status if status.is_client_error() => ProblemCode::InvalidQuery,
            _ => ProblemCode::Internal,
        };
        Self::new(code, "")
    }
}

/// When another try may succeed, for the codes for which a retry makes sense.
fn retry_after_ms(code: ProblemCode) -> Option<u64> {
    match code {
        ProblemCode::Contention => Some(50),
        ProblemCode::Overloaded | ProblemCode::OutcomeUnknown => Some(250),
        ProblemCode::StoreUnavailable
        | ProblemCode::ShuttingDown
        | ProblemCode::CommitInProgress => Some(1_000),
        ProblemCode::StoreFull => Some(10_000),
        _ => None,
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::invalid_field(&error.field, &error.reason)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Field(field) => return field.clone().into(),
            EngineError::Store(store) => return store.clone().into(),
            EngineError::AtRecord { error: inner, .. } if inner.is_of_the_store() => {
                return Self::from(EngineError::clone(inner));
            }
            _ => {}
        }
        let code = error.code();
        if code == ProblemCode::Internal {
            return Self::internal(&error);
        }
        let made = Self::new(code, error.sentence());
        match error {
            EngineError::Overloaded { retry_after_ms } => made.retry_after(retry_after_ms),
            EngineError::UnexpectedState { stands, .. } => made.stands(stands),
            EngineError::JobNotFound(id) | EngineError::ParentNotFound(id) => made.missing(id),
            _ => made,
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        use ProblemCode as Code;
        let code = match refused {
            Refused::Missing | Refused::Wrong => Code::Unauthorized,
            Refused::Expired(_) => Code::TokenExpired,
            Refused::Revoked(_) => Code::TokenRevoked,
            Refused::SessionEnded => Code::SessionEnded,
            Refused::TooManyTries { retry_after_ms } => {
                return Self::new(Code::TooManyTries, "").retry_after(retry_after_ms);
            }
            Refused::Session(error) => return error.into(),
            Refused::Store(error) => return error.into(),
        };
        Self::new(code, refused.to_string())
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        use ProblemCode as Code;
        let code = match error {
            TokenError::Field(field) => return field.into(),
            TokenError::Store(error) => return error.into(),
            TokenError::NoRandomness | TokenError::Unreadable(_) => return Self::internal(&error),
            TokenError::Exists(_) => Code::TokenExists,
            TokenError::NotFound(_) => Code::TokenNotFound,
            TokenError::TooMany(_) => Code::TooManyTokens,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::TooMany { retry_after_ms } => {
                let refused = Self::new(ProblemCode::Overloaded, error.to_string());
                refused.retry_after(retry_after_ms)
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<DeletionError> for ApiError {
    fn from(error: DeletionError) -> Self {
        match error {
            DeletionError::Engine(error) => error.into(),
            DeletionError::OpenFollowUp { .. } => {
                Self::new(ProblemCode::OpenFollowUps, format!("The {error}."))
            }
        }
    }
}

impl From<RuleError> for ApiError {
    fn from(error: RuleError) -> Self {
        use ProblemCode as Code;
        match error {
            RuleError::Field(field) => field.into(),
            RuleError::Store(error) => error.into(),
            RuleError::Unwritable(_) => Self::internal(&error),
            RuleError::NotFound(_) => Self::new(Code::RetentionRuleNotFound, error.to_string()),
            RuleError::TooMany(_) => Self::new(Code::TooManyRetentionRules, error.to_string()),
        }
    }
}

impl From<WorkerError> for ApiError {
    fn from(error: WorkerError) -> Self {
        use ProblemCode as Code;
        match error {
            WorkerError::Field(field) => field.into(),
            WorkerError::Store(error) => error.into(),
            WorkerError::Engine(error) => error.into(),
            WorkerError::NotFound(_) => Self::new(Code::WorkerNotFound, error.to_string()),
            WorkerError::Kicked(_) => Self::new(Code::WorkerKicked, error.to_string()),
            WorkerError::Draining(_) => Self::new(Code::WorkerDraining, error.to_string()),
            WorkerError::TooMany(_) => Self::new(Code::TooManyWorkers, error.to_string()),
        }
    }
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        use ProblemCode as Code;
        let code = match error {
            ScheduleError::Field(field) => return field.into(),
            ScheduleError::Store(error) => return error.into(),
            ScheduleError::Engine(error) => return error.into(),
            ScheduleError::Unreadable { .. } => return Self::internal(&error),
            ScheduleError::NotFound(_) => Code::ScheduleNotFound,
            ScheduleError::Exists(_) => Code::ScheduleExists,
            ScheduleError::OtherVersion { .. } => Code::OtherVersion,
            ScheduleError::TooManyPlanned(_) => Code::TooManyPlanned,
            ScheduleError::Contention(_) => Code::Contention,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Document(_) | AuditError::Unreadable(_) => Self::internal(&error),
        }
    }
}

impl From<StreamError> for ApiError {
    fn from(error: StreamError) -> Self {
        let StreamError { position, reason } = error;
        Self::new(ProblemCode::InvalidCommit, format!("Record {position} {reason}."))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        use ProblemCode as Code;
        // A store's text may name files and hosts: it is for the log, not for the caller.
        let quiet = |code| Self::new(code, "").caused_by(&error);
        match &error {
            StoreError::UnknownJob(id) => Self::job_not_found(*id),
            StoreError::IdsExhausted(_) => {
                Self::new(Code::StoreFull, EngineError::from(error).sentence())
            }
            StoreError::BadCursor { .. } => Self::new(Code::InvalidCursor, ""),
            StoreError::Stale { .. } | StoreError::StaleDocument(_) => quiet(Code::Contention),
            StoreError::Full(_) => quiet(Code::StoreFull),
            StoreError::Unavailable(_) => quiet(Code::StoreUnavailable),
            StoreError::OutcomeUnknown(_) => quiet(Code::OutcomeUnknown),
            StoreError::Corrupt(_) => quiet(Code::StoreCorrupt),
            _ => Self::internal(&error),
        }
    }
}

impl ApiError {
    /// An unexpected error; the cause goes to the log only.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        Self::new(ProblemCode::Internal, "").caused_by(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failures of a store, with the codes that callers get.
    fn failures() -> Vec<(StoreError, ProblemCode)> {
        use ProblemCode as Code;
        let text = || "10.0.0.1:9042 said no".to_owned();
        let root = JobId::MIN;
        vec![
            (StoreError::Stale { root }, Code::Contention),
            (StoreError::Unavailable(text()), Code::StoreUnavailable),
            (StoreError::OutcomeUnknown(text()), Code::OutcomeUnknown),
            (StoreError::Full(text()), Code::StoreFull),
            (StoreError::Corrupt(text()), Code::StoreCorrupt),
            (StoreError::Locked(text()), Code::Internal),
            (StoreError::Unusable { place: text(), reason: text() }, Code::Internal),
        ]
    }

    #[test]
    fn a_failing_store_is_told_by_its_code_and_by_no_name_of_a_host() {
        for (error, code) in failures() {
            for told in [ApiError::from(error.clone()), EngineError::from(error.clone()).into()] {
                assert_eq!(told.code(), code, "{error}");
                let problem = serde_json::to_string(&told.to_problem("r-1")).unwrap();
                assert!(!problem.contains("10.0.0.1"), "{problem}");
                assert!(problem.contains(code.code()), "{problem}");
                assert_eq!(told.log_text(), error.to_string());
            }
        }
    }

    #[test]
    fn what_is_worth_another_try_says_when() {
        let told = failures().into_iter().map(|(error, _)| ApiError::from(error));
        let contention = ApiError::from(EngineError::Contention(JobId::MIN));
        for error in told.chain([contention]) {
            let code = error.code();
            assert_eq!(error.retry_after_ms().is_some(), code.is_transient(), "{code}");
        }
    }
}
