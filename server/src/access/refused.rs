use jobtracker_model::FieldError;
use jobtracker_store::Error as StoreError;

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("There is neither a bearer token in the Authorization header nor a session.")]
    Missing,
    #[error("The token is another one.")]
    Wrong,
    #[error("The token {0} has expired.")]
    Expired(String),
    #[error("The token {0} was revoked.")]
    Revoked(String),
    #[error("The session is over.")]
    SessionEnded,
    #[error("Its tries are refused for a while.")]
    TooManyTries { retry_after_ms: u64 },
    #[error("the session cannot be looked up: {0}")]
    Session(#[from] SessionError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an entry is not written to the audit list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("an audit entry cannot be written: {0}")]
    Document(#[from] FieldError),
    #[error("an audit entry cannot be written: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token is not made or not revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("The token {0} is in use.")]
    Exists(String),
    #[error("There is no token {0}.")]
    NotFound(String),
    #[error("There are {0}.")]
    TooMany(usize),
    #[error("no random bits can be had from the system")]
    NoRandomness,
    #[error("the document of a token cannot be read or written: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a session is not begun, renewed or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("With this token too many sessions were begun; use one of them, or wait.")]
    TooMany { retry_after_ms: u64 },
    #[error("no random bits can be had from the system")]
    NoRandomness,
    #[error("a session cannot be written: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the key of sessions cannot be written: {0}")]
    Document(#[from] FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
