use std::time::Duration;

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP, or the code of SMTP.
    pub status: u16,
    /// How its text begins; not more than 1 KB of it was read.
    pub text: String,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered(Answer),
    /// The receiver does not want it, now or later: HTTP 410, or an address that SMTP does not
    /// know.
    Refused(Answer),
    /// The receiver asks for a pause: HTTP 429 or 503.
    TryLater {
        /// What it said.
        answer: Answer,
        /// The pause that it asks for, cut to what is configured; none: it did not say.
        after: Option<Duration>,
    },
    /// It may work another time.
    Failed {
        /// What the receiver said, if it said anything.
        answer: Option<Answer>,
        /// What went wrong.
        reason: String,
    },
    /// It may not be sent there. That can change with the configuration, or with a name's address.
    Forbidden {
        /// Why not.
        why: String,
    },
}

impl Outcome {
    /// A try to which nobody said anything.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { answer: None, reason: reason.into() }
    }
}
