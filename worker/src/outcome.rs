use std::error::Error;

use jobtracker_client::Payload;
use serde::Serialize;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What becomes of an attempt.
pub type Outcome = Result<Success, Failure>;

/// A success.
#[derive(Debug, Clone, Default)]
pub struct Success {
    pub(crate) message: Option<String>,
    pub(crate) result: Option<Payload>,
}

impl Success {
    /// A success with nothing more to say.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a message for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With a result for programs: anything that is JSON of up to 16 KiB.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn result(mut self, result: &impl Serialize) -> Result<Self, Failure> {
        self.result = Some(Payload::of(result)?);
        Ok(self)
    }
}

/// Why an attempt did not succeed. `?` makes [`Failed`](Self::Failed) of any error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The attempt has failed. The task's policy decides whether another follows.
    Failed(String),
    /// The handler does not take these parameters; no attempt follows.
    Rejected(String),
    /// The task waits until an operator resumes it.
    Paused(String),
}

impl Failure {
    /// A failure because of this error, with the errors that led to it. For errors that `?` does
    /// not take, such as those of `anyhow`.
    pub fn failed(error: impl Into<BoxError>) -> Self {
        Self::because(&*error.into())
    }

    fn because(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self::Failed(text)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::because(&error)
    }
}
