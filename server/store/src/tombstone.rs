use jobtracker_model::Timestamp;
use serde::{Deserialize, Serialize};

/// What is kept of a deleted tree, by its root.
///
/// Stored as it is here: the order of fields never changes, and new ones come last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// When it was deleted.
    pub time: Timestamp,
    /// The name of the principal, or of the retention rule, that asked for it.
    pub by: String,
    /// How many jobs it had.
    pub jobs: u64,
    /// Until when this is kept.
    pub until: Timestamp,
}
