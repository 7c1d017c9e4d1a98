use serde::{Deserialize, Serialize};

use super::ScheduleDefinition;
use crate::{FieldError, limits};

/// A definition that a program brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterSchedule {
    /// The version of the definition within the program, which grows with each change of it: 1 to
    /// 9,007,199,254,740,991.
    pub version: u64,
    /// What the schedule is.
    pub definition: ScheduleDefinition,
}

impl RegisterSchedule {
    /// Checks all fields but what patterns and zones say.
    ///
    /// # Errors
    /// A field past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        if !(1..=limits::CODE_VERSION).contains(&self.version) {
            let reason = format!("must be 1 to {}", limits::CODE_VERSION);
            return Err(FieldError::new("version", reason));
        }
        self.definition.check().map_err(|error| error.within("definition"))
    }
}

/// What became of a definition that a program brought along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleRegistered {
    /// What was done.
    pub outcome: Registration,
    /// The newest version that a program has registered of what the schedule is; null if that is a
    /// definition by hand alone.
    pub code_version: Option<u64>,
}

/// What a registration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Registration {
    /// There was no schedule of this name: now there is, and it is enabled.
    Created,
    /// The definition took the place of an older version.
    Replaced,
    /// The schedule has this definition already.
    Unchanged,
    /// Ignored: the schedule has the definition of a newer version.
    OlderVersion,
    /// Ignored: the schedule has another definition of this version.
    SameVersion,
    /// Ignored: the definition that the schedule has was put by hand.
    ChangedByHand,
}

impl Registration {
    /// Whether the schedule has another definition than the one that was registered.
    #[must_use]
    pub fn is_ignored(self) -> bool {
        matches!(self, Self::OlderVersion | Self::SameVersion | Self::ChangedByHand)
    }
}

/// Where the definition of a schedule comes from that a program has registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleCode {
    /// The newest version that was taken.
    pub version: u64,
    /// Whether another definition was put by hand since then, which stays whatever programs
    /// register.
    pub changed_by_hand: bool,
}
