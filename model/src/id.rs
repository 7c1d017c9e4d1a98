use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// The name of a job: an integer from 1 to 2^63 − 1, unique in the whole service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(NonZeroU64);

/// A number that cannot name a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job id is an integer from 1 to {}", JobId::MAX)]
pub struct InvalidId;

impl JobId {
    /// The largest id, 2^63 − 1.
    pub const MAX: Self = Self(NonZeroU64::new(i64::MAX as u64).expect("not zero"));
    /// The smallest id.
    pub const MIN: Self = Self(NonZeroU64::MIN);

    /// The id with this number, if the number is one that can name a job.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= i64::MAX as u64 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl TryFrom<u64> for JobId {
    type Error = InvalidId;

    fn try_from(number: u64) -> Result<Self, InvalidId> {
        Self::new(number).ok_or(InvalidId)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // A sign or a leading zero would give one job two addresses.
        if text.starts_with(['+', '0']) {
            return Err(InvalidId);
        }
        text.parse().ok().and_then(Self::new).ok_or(InvalidId)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// In formats for people an id may be a text of digits too: where numbers end at 2^53, as in
/// JavaScript, larger ids cannot be held in any other way.
impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(NumberOrText)
        } else {
            deserializer.deserialize_u64(NumberOrText)
        }
    }
}

struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = JobId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a job id: an integer from 1 to {}, or its digits as a text", JobId::MAX)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<JobId, E> {
        JobId::new(number).ok_or_else(|| E::custom(InvalidId))
    }

    fn visit_str<E: de::Error>(self, digits: &str) -> Result<JobId, E> {
        digits.parse().map_err(E::custom)
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema};

    impl utoipa::ToSchema for super::JobId {}

    impl utoipa::PartialSchema for super::JobId {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(1))
                .maximum(Some(i64::MAX))
                .description(Some(
                    "The name of a job: an integer from 1 to 2^63 - 1. In a request it may be a \
                     text of its digits too, for languages whose numbers end at 2^53.",
                ))
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_63_bit_integers_name_jobs() {
        for bad in ["0", "-1", "9223372036854775808", "01", "+1", "1.0", "", " 1", "1e3"] {
            assert_eq!(bad.parse::<JobId>(), Err(InvalidId), "{bad:?}");
        }
        assert_eq!("9223372036854775807".parse(), Ok(JobId::MAX));
        for bad in ["0", "-1", "9223372036854775808", "1.5", "null", "[1]"] {
            assert!(serde_json::from_str::<JobId>(bad).is_err(), "{bad}");
        }
        for bad in ["\"\"", "\"0\"", "\"01\"", "\"+1\"", "\"1.0\"", "\" 1\"", "\"a\""] {
            assert!(serde_json::from_str::<JobId>(bad).is_err(), "{bad}");
        }
        let largest = "\"9223372036854775807\"";
        assert_eq!(serde_json::from_str::<JobId>(largest).unwrap(), JobId::MAX);
        let bytes = postcard::to_stdvec(&JobId::MAX).unwrap();
        assert_eq!(postcard::from_bytes::<JobId>(&bytes).unwrap(), JobId::MAX);
        assert_eq!(serde_json::from_str::<JobId>("1").unwrap(), JobId::MIN);
    }
}
