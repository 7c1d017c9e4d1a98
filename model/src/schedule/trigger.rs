use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{FieldError, State, Timestamp, check_name, field::check_text, limits};

/// When a schedule plans its firings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ScheduleTrigger {
    /// At the local times that match a pattern.
    Cron {
        /// 5 fields (minute, hour, day of the month, month, day of the week), 6 (seconds first) or
        /// 7 (a year last), with names, lists, ranges, steps and `? L W #`; up to 256 bytes.
        pattern: String,
        /// The IANA name of the time zone.
        #[serde(default = "utc")]
        zone: String,
    },
    /// At times with the same distance from each to the next, which depend on the start alone.
    #[serde(rename_all = "camelCase")]
    FixedRate {
        /// The distance of two times; 100 to 31,622,400,000.
        every_ms: u64,
        /// The first time; without it, that of the schedule's creation counts as one before the
        /// first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<Timestamp>,
    },
    /// This long after the last run has ended; the first time, after the definition was put.
    #[serde(rename_all = "camelCase")]
    FixedDelay {
        /// The pause; 100 to 31,622,400,000.
        delay_ms: u64,
    },
    /// Once at a time.
    Once {
        /// The time.
        at: Timestamp,
    },
    /// Once, this long after the definition was put.
    #[serde(rename_all = "camelCase")]
    Delayed {
        /// How long; up to 31,622,400,000.
        after_ms: u64,
    },
    /// When a run of another schedule has ended.
    After {
        /// The name of the other schedule.
        schedule: String,
        /// How the run has to have ended.
        #[serde(default)]
        on: RunEnding,
    },
}

/// How a run has to have ended for another schedule to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RunEnding {
    /// As RanToCompletion.
    #[default]
    Success,
    /// As Faulted.
    Failure,
    /// In any way.
    Finish,
}

impl RunEnding {
    /// Whether a run that ended in this state ended so.
    #[must_use]
    pub fn is(self, state: State) -> bool {
        match self {
            Self::Success => state == State::RanToCompletion,
            Self::Failure => state == State::Faulted,
            Self::Finish => true,
        }
    }
}

impl ScheduleTrigger {
    /// Checks its fields, but for what the pattern and the zone say.
    ///
    /// # Errors
    /// A field past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        let pause = |field: &str, millis: u64, least: u64| {
            if (least..=limits::TRIGGER_MS).contains(&millis) {
                return Ok(());
            }
            let most = limits::TRIGGER_MS;
            Err(FieldError::new(field, format!("must be {least} to {most}")))
        };
        match self {
            Self::Cron { pattern, zone } => {
                check_text("pattern", pattern, 1, limits::CRON_PATTERN)?;
                check_text("zone", zone, 1, limits::ZONE)
            }
            Self::FixedRate { every_ms, .. } => pause("everyMs", *every_ms, limits::RATE_MS),
            Self::FixedDelay { delay_ms } => pause("delayMs", *delay_ms, limits::RATE_MS),
            Self::Delayed { after_ms } => pause("afterMs", *after_ms, 0),
            Self::Once { .. } => Ok(()),
            Self::After { schedule, .. } => {
                check_name(schedule).map_err(|error| FieldError::new("schedule", error.reason))
            }
        }
    }
}

/// A span of the day to which cron, fixed rate and fixed delay are bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DailyWindow {
    /// Its first minute.
    pub from: TimeOfDay,
    /// The minute in which it is over.
    pub to: TimeOfDay,
    /// The days on which there is one; none: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// The IANA name of the time zone.
    #[serde(default = "utc")]
    pub zone: String,
}

impl DailyWindow {
    /// Checks its fields, but for what the zone says.
    ///
    /// # Errors
    /// It ends before it begins, or a field is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.from >= self.to {
            let reason = "must be later than `from`; two windows make one over midnight";
            return Err(FieldError::new("to", reason));
        }
        if self.days.len() > 7 {
            return Err(FieldError::new("days", "has more than 7"));
        }
        check_text("zone", &self.zone, 1, limits::ZONE)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "their names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A minute of the day: `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight, up to 1,440.
    #[must_use]
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let read = || {
            let (hours, minutes) = text.split_once(':')?;
            let two = |digits: &str| {
                let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
                fits.then(|| digits.parse::<u16>().ok()).flatten()
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            let total = hours * 60 + minutes;
            (minutes < 60 && total <= 24 * 60).then_some(Self(total))
        };
        read().ok_or_else(|| FieldError::new("time", "must be 00:00 to 24:00"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(|error: FieldError| de::Error::custom(error.reason))
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

    impl utoipa::ToSchema for super::TimeOfDay {}

    impl utoipa::PartialSchema for super::TimeOfDay {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"))
                .description(Some("A minute of the day, 00:00 to 24:00."))
                .into()
        }
    }
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_come_back() {
        for text in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in ["", "9:00", "24:01", "12:60", "-1:00", "+1:00", "12:00:00", "99:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_trigger_within_the_limits_is_a_trigger() {
        use ScheduleTrigger as Trigger;
        let long = "x".repeat(257);
        let bad = [
            (Trigger::Cron { pattern: long, zone: utc() }, "pattern"),
            (Trigger::Cron { pattern: "* * * * *".into(), zone: String::new() }, "zone"),
            (Trigger::FixedRate { every_ms: 99, start: None }, "everyMs"),
            (Trigger::FixedDelay { delay_ms: limits::TRIGGER_MS + 1 }, "delayMs"),
            (Trigger::Delayed { after_ms: u64::MAX }, "afterMs"),
            (Trigger::After { schedule: "a b".into(), on: RunEnding::Finish }, "schedule"),
        ];
        for (trigger, field) in bad {
            assert_eq!(trigger.check().unwrap_err().field, field);
        }
        let good = r#"[{"kind":"cron","pattern":"0 9 * * 1-5","zone":"Europe/Berlin"},
            {"kind":"fixedRate","everyMs":100},{"kind":"fixedDelay","delayMs":100},
            {"kind":"once","at":"2026-11-21T09:30:00Z"},{"kind":"delayed","afterMs":0},
            {"kind":"after","schedule":"nightly","on":"finish"}]"#;
        for trigger in serde_json::from_str::<Vec<Trigger>>(good).unwrap() {
            assert_eq!(trigger.check(), Ok(()));
            let text = serde_json::to_string(&trigger).unwrap();
            assert_eq!(serde_json::from_str::<Trigger>(&text).unwrap(), trigger);
        }
        let unknown = r#"{"kind":"once","at":"2026-11-21T09:30:00Z","zone":"UTC"}"#;
        assert!(serde_json::from_str::<Trigger>(unknown).is_err());
    }
}
