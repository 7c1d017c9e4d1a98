use std::time::Duration;

/// The answer of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP, or the code of SMTP.
    pub status: u16,
    /// The begin of its text, of at most 1 KB.
    pub text: String,
}

/// The outcome of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered(Answer),
    /// The receiver refuses it for good: HTTP 410, or an address that SMTP does not know.
    Refused(Answer),
    /// The receiver asks for a pause: HTTP 429 or 503.
    TryLater {
        /// What it said.
        answer: Answer,
        /// The pause that it asks for, cut to the configured maximum; `None`: it named none.
        after: Option<Duration>,
    },
    /// A later try may succeed.
    Failed {
        /// The receiver's answer, if there was one.
        answer: Option<Answer>,
        /// The error.
        reason: String,
    },
    /// Sending it there is forbidden. That can change with the configuration, or with a name's
    /// address.
    Forbidden {
        /// The reason.
        why: String,
    },
}

impl Outcome {
    /// A try that got no answer.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { answer: None, reason: reason.into() }
    }
}
