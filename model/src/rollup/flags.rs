//! What one bit each says of a job.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Facts about a job that never become untrue.
///
/// In JSON this is `ever_faulted` alone, as a boolean: whoever reckons with a status needs no more.
/// Stores keep a byte with a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Whether any own change was Faulted.
    pub ever_faulted: bool,
    /// Whether the job has, or had, actions or checks, so that its changes may have follow-ups.
    pub followed: bool,
}

const EVER_FAULTED: u8 = 1;
const FOLLOWED: u8 = 2;

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_bool(self.ever_faulted);
        }
        let faulted = if self.ever_faulted { EVER_FAULTED } else { 0 };
        let followed = if self.followed { FOLLOWED } else { 0 };
        serializer.serialize_u8(faulted | followed)
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let ever_faulted = bool::deserialize(deserializer)?;
            return Ok(Self { ever_faulted, followed: false });
        }
        match u8::deserialize(deserializer)? {
            bits if bits > (EVER_FAULTED | FOLLOWED) => {
                Err(serde::de::Error::custom(format!("unknown flags {bits:#b}")))
            }
            bits => {
                Ok(Self { ever_faulted: bits & EVER_FAULTED != 0, followed: bits & FOLLOWED != 0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_fault_alone_and_stores_have_a_byte() {
        for (ever_faulted, followed) in [(false, false), (true, false), (false, true), (true, true)]
        {
            let flags = Flags { ever_faulted, followed };
            let json = serde_json::to_string(&flags).unwrap();
            assert_eq!(json, ever_faulted.to_string());
            let read: Flags = serde_json::from_str(&json).unwrap();
            assert_eq!(read, Flags { ever_faulted, followed: false });
        }
        assert!(serde_json::from_str::<Flags>("3").is_err());
    }
}
