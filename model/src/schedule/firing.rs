use serde::{Deserialize, Serialize};

use super::MisfirePolicy;
use crate::{JobId, State, Timestamp};

/// What became of one planned time, or of several that follow each other and misfired together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Firing {
    /// Its number among the firings of the schedule, from 1 on.
    pub number: u64,
    /// The planned time.
    pub planned: Timestamp,
    /// How many planned times these are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// The last one of them, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When the service decided.
    pub time: Timestamp,
    /// Why there was a firing.
    #[serde(default)]
    pub cause: FiringCause,
    /// What it did.
    pub outcome: FiringOutcome,
    /// When its run was started, if it has one and that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When its run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// How its run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

impl Firing {
    /// The root of its run, if it has one.
    #[must_use]
    pub fn run(&self) -> Option<JobId> {
        match self.outcome {
            FiringOutcome::Started { run } | FiringOutcome::Queued { run } => Some(run),
            FiringOutcome::Skipped { .. } | FiringOutcome::Misfired { .. } => None,
        }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// Why there was a firing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FiringCause {
    /// A trigger had planned it.
    #[default]
    Planned,
    /// A caller asked for it.
    Manual {
        /// The name of the caller.
        by: String,
    },
    /// A run of another schedule ended.
    After {
        /// The other schedule.
        schedule: String,
        /// The root of the run.
        run: JobId,
    },
    /// The run before had named the time.
    Task,
}

/// What a firing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FiringOutcome {
    /// It started a run.
    Started {
        /// The root of the run.
        run: JobId,
    },
    /// Its run waited for another one to end.
    Queued {
        /// The id that the root of its run has, once that is made.
        run: JobId,
    },
    /// It did nothing.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// It was late, and did nothing.
    Misfired {
        /// The policy.
        policy: MisfirePolicy,
    },
}

/// Why a firing did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SkipReason {
    /// As many runs were open as may be.
    Running,
    /// As many firings waited as may wait.
    QueueFull,
    /// It waited, and a newer one took its place.
    Replaced,
}
