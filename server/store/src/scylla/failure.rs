//! The meaning of the driver's errors for a caller.

use std::fmt::Display;

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use crate::Error;

/// A request that changes nothing, or that may be repeated whether or not it had an effect.
pub fn asking(error: impl Display) -> Error {
    Error::Unavailable(format!("the cluster does not answer: {error}"))
}

/// The same, or, when no repetition of it can succeed, an error that does not ask for one.
pub fn asked(error: &ExecutionError) -> Error {
    if can_pass(error) {
        return asking(error);
    }
    Error::Unusable {
        place: "the cluster".into(),
        reason: format!("it refuses a statement; check the user's rights and the tables: {error}"),
    }
}

/// An answer that is not what the statement asks for.
pub fn reading(error: impl Display) -> Error {
    Error::Corrupt(format!("an answer of the cluster cannot be read: {error}"))
}

/// Whether a request may be answered when it is sent again as it is.
pub fn can_pass(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_) => false,
        ExecutionError::LastAttemptError(error) => attempt_can_pass(error),
        _ => true,
    }
}

/// The same for one sending of it. What this program or the cluster cannot read or write is just as
/// unreadable the next time.
pub fn attempt_can_pass(error: &RequestAttemptError) -> bool {
    match error {
        RequestAttemptError::DbError(error, _) => !is_refusal(error),
        RequestAttemptError::UnableToAllocStreamId
        | RequestAttemptError::BrokenConnectionError(_)
        | RequestAttemptError::RepreparedIdChanged { .. }
        | RequestAttemptError::RepreparedIdMissingInBatch => true,
        _ => false,
    }
}

/// Whether the cluster has read a request and refuses it, now and later.
fn is_refusal(error: &DbError) -> bool {
    matches!(
        error,
        DbError::SyntaxError
            | DbError::Invalid
            | DbError::AlreadyExists { .. }
            | DbError::AuthenticationError
            | DbError::Unauthorized
            | DbError::ConfigError
            | DbError::ProtocolError
    )
}

/// Whether a request was refused before it can have had an effect. For every other error that is
/// not known: a coordinator that has given up, or died, may have reached some copies.
pub fn was_not_sent(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_)
        | ExecutionError::EmptyPlan
        | ExecutionError::PrepareError(_)
        | ExecutionError::ConnectionPoolError(_) => true,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => {
            is_refusal(error)
        }
        ExecutionError::LastAttemptError(error) => matches!(
            error,
            RequestAttemptError::SerializationError(_)
                | RequestAttemptError::CqlRequestSerialization(_)
                | RequestAttemptError::UnableToAllocStreamId
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use scylla::errors::RequestAttemptError::DbError as Told;

    use super::*;

    fn told(error: DbError) -> ExecutionError {
        ExecutionError::LastAttemptError(Told(error, "no".into()))
    }

    #[test]
    fn a_refusal_is_final_and_has_done_nothing() {
        for error in [DbError::SyntaxError, DbError::Invalid, DbError::Unauthorized] {
            let error = told(error);
            assert!(!can_pass(&error) && was_not_sent(&error), "{error}");
            assert!(matches!(asked(&error), Error::Unusable { .. }), "{error}");
        }
        for error in [DbError::Overloaded, DbError::IsBootstrapping, DbError::ServerError] {
            let error = told(error);
            assert!(can_pass(&error) && !was_not_sent(&error), "{error}");
            assert!(matches!(asked(&error), Error::Unavailable(_)), "{error}");
        }
        assert!(can_pass(&ExecutionError::EmptyPlan), "nodes come back");
    }
}
