//! What the driver's errors mean to a caller.

use std::fmt::Display;

use scylla::errors::{ExecutionError, RequestAttemptError};

use crate::Error;

/// A request that changes nothing, or that may be repeated whatever it has done.
pub fn asking(error: impl Display) -> Error {
    Error::Unavailable(format!("the cluster does not answer: {error}"))
}

/// An answer that is not what the statement asks for.
pub fn reading(error: impl Display) -> Error {
    Error::Corrupt(format!("an answer of the cluster cannot be read: {error}"))
}

/// Whether a request was refused before it can have done anything. Of everything else it is not
/// known: a coordinator that has given up, or died, may have reached some copies.
pub fn was_not_sent(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_)
        | ExecutionError::EmptyPlan
        | ExecutionError::PrepareError(_)
        | ExecutionError::ConnectionPoolError(_) => true,
        ExecutionError::LastAttemptError(error) => matches!(
            error,
            RequestAttemptError::SerializationError(_)
                | RequestAttemptError::CqlRequestSerialization(_)
                | RequestAttemptError::UnableToAllocStreamId
        ),
        _ => false,
    }
}
