use serde::{Deserialize, Serialize};

use crate::{JobId, PathStep, Timestamp};

/// A job of a deleted tree that failed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeptFailure {
    /// The id that it had.
    pub id: JobId,
    /// What people called it.
    pub name: String,
    /// The jobs between the root and it, from the top.
    pub path: Vec<PathStep>,
    /// When it failed first.
    pub time: Timestamp,
    /// What it said then, shortened to 1,024 bytes.
    pub message: Option<String>,
    /// A short code for machines.
    pub reason_code: Option<String>,
}
