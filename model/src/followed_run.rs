use serde::{Deserialize, Serialize};

use crate::{FieldError, JobId, Payload, State, check_name};

/// A run of a schedule that a run of another one follows, as it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FollowedRun {
    /// The schedule.
    pub schedule: String,
    /// The root of the run.
    pub run: JobId,
    /// How it has ended.
    pub state: State,
    /// What its task has answered; of a run with shards the list of what they have, in their order,
    /// with null for those that answered nothing. Absent if there is nothing, and if it is larger
    /// than 16 KiB: then the tasks of the run have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
}

impl FollowedRun {
    pub(crate) fn check(&self) -> Result<(), FieldError> {
        let named = |error: FieldError| FieldError::new("after.schedule", error.reason);
        check_name(&self.schedule).map_err(named)?;
        self.result.as_ref().map_or(Ok(()), |result| result.check("after.result"))
    }
}
