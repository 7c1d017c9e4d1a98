use serde::{Deserialize, Serialize};

use crate::JobId;

/// A job on a path, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PathStep {
    /// The job.
    pub id: JobId,
    /// What people call it.
    pub name: String,
}
