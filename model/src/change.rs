use serde::{Deserialize, Serialize};

use crate::{FieldError, JobId, State, Timestamp, definition::check_text, limits};

/// A state that a job reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewChange {
    /// The state; any but WaitingForActivation.
    pub state: State,
    /// What there is to say about it; up to 4096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A short code for machines; 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Chosen by the sender, unique per change, 1 to 64 bytes: the same id on the same job is
    /// applied once, so a change with one can be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
}

impl NewChange {
    /// A change to `state` with nothing more to say.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state, message: None, reason_code: None, change_id: None }
    }

    /// With a message for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With a short code for machines.
    #[must_use]
    pub fn reason_code(mut self, code: impl Into<String>) -> Self {
        self.reason_code = Some(code.into());
        self
    }

    /// With a change id, which makes the change repeatable.
    #[must_use]
    pub fn change_id(mut self, id: impl Into<String>) -> Self {
        self.change_id = Some(id.into());
        self
    }

    /// Checks every text against its limit. Whether the state may be reported is for the roll-up.
    ///
    /// # Errors
    /// The first field that is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_texts(&self.message, &self.reason_code, &self.change_id)
    }
}

fn check_texts(
    message: &Option<String>,
    reason_code: &Option<String>,
    change_id: &Option<String>,
) -> Result<(), FieldError> {
    check_text("message", message.as_deref().unwrap_or(""), 0, limits::MESSAGE)?;
    for (field, text, limit) in [
        ("reasonCode", reason_code, limits::REASON_CODE),
        ("changeId", change_id, limits::REPEAT_ID),
    ] {
        if let Some(text) = text {
            check_text(field, text, 1, limit)?;
        }
    }
    Ok(())
}

/// One of a job's own state changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The state that the job reported.
    pub state: State,
    /// When it was recorded.
    pub time: Timestamp,
    /// What there was to say about it.
    pub message: Option<String>,
    /// A short code for machines.
    pub reason_code: Option<String>,
    /// The sender's name for the change.
    pub change_id: Option<String>,
}

impl Change {
    /// The change that creation writes.
    #[must_use]
    pub fn creation(time: Timestamp) -> Self {
        let change = NewChange::new(State::WaitingToRun);
        Self::recorded(change, time)
    }

    /// A reported change, recorded at `time`.
    #[must_use]
    pub fn recorded(change: NewChange, time: Timestamp) -> Self {
        let NewChange { state, message, reason_code, change_id } = change;
        Self { state, time, message, reason_code, change_id }
    }

    /// Checks every text against its limit, as [`NewChange::check`] does.
    ///
    /// # Errors
    /// The first field that is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_texts(&self.message, &self.reason_code, &self.change_id)
    }
}

/// One of a job's own changes, by when it was recorded and where it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    /// When it was recorded.
    pub time: Timestamp,
    /// The job that reported it.
    pub job: JobId,
    /// Its number among the changes of that job; the creation is 0.
    pub change: u32,
}

/// The answer to a reported change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Updated {
    /// False when the job was finished and updates to finished jobs are blocked: nothing changed.
    pub applied: bool,
    /// True when a change with this change id had been applied before: nothing changed now.
    pub repeated: bool,
    /// The visible state that stands after it.
    pub state: State,
}

/// What makes an append to a job repeatable: the sender's name for it, kept with what it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Repeat {
    /// The id of a state change.
    Change(String),
    /// The id of lines appended to the log.
    Append(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_checked_at_and_past_its_limit() {
        let full = NewChange::new(State::Running)
            .message("m".repeat(limits::MESSAGE))
            .reason_code("r".repeat(limits::REASON_CODE))
            .change_id("c".repeat(limits::REPEAT_ID));
        assert_eq!(full.check(), Ok(()));
        let past = [
            full.clone().message("m".repeat(limits::MESSAGE + 1)),
            full.clone().reason_code("r".repeat(limits::REASON_CODE + 1)),
            full.clone().reason_code(""),
            full.clone().change_id("c".repeat(limits::REPEAT_ID + 1)),
            full.clone().change_id(""),
        ];
        for change in past {
            assert!(change.check().is_err(), "{change:?}");
        }
    }
}
