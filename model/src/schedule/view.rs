use serde::{Deserialize, Serialize};

use super::{Firing, FiringOutcome, ScheduleCode, ScheduleDefinition};
use crate::{FieldError, JobId, Payload, State, Timestamp, check_name, field::check_text, limits};

/// A schedule to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewSchedule {
    /// Its name: 1 to 64 of `A-Z a-z 0-9 . _ -`, not only dots.
    pub name: String,
    /// Whether its triggers plan anything; by hand it fires in any case.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it is.
    pub definition: ScheduleDefinition,
}

fn yes() -> bool {
    true
}

impl NewSchedule {
    /// A schedule that is enabled.
    #[must_use]
    pub fn new(name: impl Into<String>, definition: ScheduleDefinition) -> Self {
        Self { name: name.into(), enabled: true, definition }
    }

    /// Checks all fields but what patterns and zones say.
    ///
    /// # Errors
    /// A field past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_name(&self.name)?;
        self.definition.check()
    }
}

/// A schedule as the service shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The version of the definition: 1, and one more with each that is put.
    pub version: u64,
    /// Whether its triggers plan anything.
    pub enabled: bool,
    /// What it is.
    pub definition: ScheduleDefinition,
    /// When it was created.
    pub create_time: Timestamp,
    /// When its definition was put last.
    pub change_time: Timestamp,
    /// The name of the principal who put it.
    pub changed_by: String,
    /// Set if a program has registered the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ScheduleCode>,
    /// The next planned time.
    pub next: Option<Timestamp>,
    /// The roots of its open runs.
    pub running: Vec<JobId>,
    /// How many firings wait for a run to end.
    pub queued: u32,
    /// Its last firing.
    pub last_firing: Option<Firing>,
    /// Its numbers.
    pub statistics: ScheduleStatistics,
}

/// The numbers of a schedule since its creation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleStatistics {
    /// Runs that were started.
    pub runs: u64,
    /// Firings that were skipped.
    pub skipped: u64,
    /// Planned times that misfired.
    pub misfired: u64,
    /// Runs that ended as RanToCompletion.
    pub succeeded: u64,
    /// Runs that ended as Faulted.
    pub failed: u64,
    /// The mean time from start to end of a run that has ended, in milliseconds.
    pub mean_ms: Option<u64>,
    /// That of the last run.
    pub last_ms: Option<u64>,
    /// When the last run was started.
    pub last_start: Option<Timestamp>,
    /// When a run last ended.
    pub last_end: Option<Timestamp>,
    /// How that one ended.
    pub last_state: Option<State>,
}

/// A firing by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TriggerSchedule {
    /// Parameters of this run, in the place of those of the definition; as JSON up to 4,096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Payload>,
    /// How many milliseconds to wait; up to 31,622,400,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// A text of 1 to 64 bytes, unique for each firing that is wanted. A request that is repeated
    /// with it is answered as the first one; the schedule remembers the last 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl TriggerSchedule {
    /// Checks all fields.
    ///
    /// # Errors
    /// A field past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        let params = self.params.as_ref().map_or(0, |params| params.as_str().len());
        if params > limits::TRIGGER_PARAMS {
            let reason = format!("has {params} bytes; at most {}", limits::TRIGGER_PARAMS);
            return Err(FieldError::new("params", reason));
        }
        if self.delay_ms.is_some_and(|millis| millis > limits::TRIGGER_MS) {
            let reason = format!("must be 0 to {}", limits::TRIGGER_MS);
            return Err(FieldError::new("delayMs", reason));
        }
        let key = self.idempotency_key.as_deref().unwrap_or("x");
        if key.chars().any(char::is_control) {
            return Err(FieldError::new("idempotencyKey", "must not contain control characters"));
        }
        check_text("idempotencyKey", key, 1, limits::REPEAT_ID)
    }
}

/// The answer to a firing by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Triggered {
    /// The time for which it is planned.
    pub planned: Timestamp,
    /// The id of the root of its run, which is made when its time comes; null if the firing was
    /// skipped.
    pub run: Option<JobId>,
    /// What the firing did; null while its time has not come.
    pub outcome: Option<FiringOutcome>,
}

/// Asks for the times that a definition plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextFires {
    /// The definition; it is not stored.
    pub definition: ScheduleDefinition,
    /// Times after this one; without it, after now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// How many, 1 to 100; without it, 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// Times that a definition plans, as far as they do not depend on runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedTimes {
    /// In order.
    pub times: Vec<Timestamp>,
}
