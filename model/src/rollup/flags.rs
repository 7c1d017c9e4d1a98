//! What one bit each says of a job.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Facts about a job that never become untrue.
///
/// In JSON this is `ever_faulted` alone, as a boolean: the rules need no more than that. Stores
/// keep a bit for each (`kept`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Whether any own change was Faulted.
    pub ever_faulted: bool,
    /// Whether the job has, or had, actions or checks, so that its changes may have follow-ups.
    pub followed: bool,
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ever_faulted.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { ever_faulted: bool::deserialize(deserializer)?, followed: false })
    }
}
