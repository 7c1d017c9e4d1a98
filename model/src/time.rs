use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, civil::DateTime, fmt::temporal::Pieces};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time in milliseconds since 1970-01-01T00:00:00Z, up to the end of the year 9999.
///
/// On the wire it is RFC 3339 in UTC with milliseconds, `2026-11-21T09:30:00.125Z`; finer digits
/// that come in are cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text or number that is not a time which a job can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is RFC 3339 with an offset, from 1970 to the end of 9999, such as \
     2026-11-21T09:30:00.125Z"
)]
pub struct InvalidTimestamp;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z, the end of what RFC 3339 can say.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The time this many milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Option<Self> {
        if millis < Self::MIN.0 || millis > Self::MAX.0 { None } else { Some(Self(millis)) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time later by this span; [`MAX`](Self::MAX) if that is too late.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// The time earlier by this span; [`MIN`](Self::MIN) if that is too early.
    #[must_use]
    pub fn before(self, pause: Duration) -> Self {
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis).max(Self::MIN.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => {
                let moment = EPOCH.saturating_add(SignedDuration::from_millis(self.0));
                write!(f, "{moment:.3}Z")
            }
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let millis = match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Some(moment.as_millisecond()),
            Err(_) => millis_by_calendar(text),
        };
        millis.and_then(Self::from_millis).ok_or(InvalidTimestamp)
    }
}

/// jiff's timestamps end at 9999-12-30T22:00Z, so that each has a date at every offset. Its
/// calendar goes on to the end of the year, which is a usual way to say "never".
fn millis_by_calendar(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
    let offset = SignedDuration::from_secs(offset.seconds().into());
    i64::try_from((local - offset).as_millis()).ok()
}

/// Text in formats for people, milliseconds in formats for machines.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            Self::from_millis(i64::deserialize(deserializer)?)
                .ok_or_else(|| de::Error::custom(InvalidTimestamp))
        }
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema};

    impl utoipa::ToSchema for super::Timestamp {}

    impl utoipa::PartialSchema for super::Timestamp {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some("RFC 3339 in UTC with milliseconds."))
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_end_with_the_first_and_the_last_one() {
        let pause = Duration::from_millis(1_500);
        assert_eq!(Timestamp::MIN.after(pause).millis(), 1_500);
        assert_eq!(Timestamp::MAX.after(pause), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.after(pause).before(pause), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.before(Duration::MAX), Timestamp::MIN);
    }

    #[test]
    fn text_has_milliseconds_and_comes_back() {
        let time = Timestamp::from_millis(1_795_253_400_120).unwrap();
        assert_eq!(time.to_string(), "2026-11-21T09:30:00.120Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2026-11-21T10:30:00.1209+01:00".parse(), Ok(time));
        assert_eq!(Timestamp::MAX.to_string().parse(), Ok(Timestamp::MAX));
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!("9999-12-31T23:59:59.9999Z".parse(), Ok(Timestamp::MAX));
        assert_eq!("9999-12-31T22:59:59.999-01:00".parse(), Ok(Timestamp::MAX));
        for last in ["9999-12-30T21:59:59.999Z", "9999-12-30T22:00:00.000Z"] {
            assert_eq!(last.parse::<Timestamp>().unwrap().to_string(), last);
        }
        for bad in ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59", "9999-12-31"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad:?}");
        }
        for bad in ["", "now", "2026-11-21", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad:?}");
        }
    }
}
