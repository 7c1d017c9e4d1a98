use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)
            .map_err(|error| de::Error::custom(format!("{InvalidId} ({error})")))?;
        Self::new(number).ok_or_else(|| de::Error::custom(InvalidId))
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
                .description(Some("The name of a job: an integer from 1 to 2^63 - 1."))
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
        for bad in ["0", "-1", "9223372036854775808", "1.5", "\"1\"", "null", "[1]"] {
            assert!(serde_json::from_str::<JobId>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<JobId>("1").unwrap(), JobId::MIN);
    }
}
