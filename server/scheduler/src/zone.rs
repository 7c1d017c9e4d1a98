use jiff::{
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use jobtracker_model::{FieldError, Timestamp};

/// A time zone, of the database that is compiled in.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub fn new(name: &str) -> Result<Self, FieldError> {
        let unknown = |_| FieldError::new("zone", format!("there is no time zone {name:?}"));
        TimeZone::get(name).map(Self).map_err(unknown)
    }

    /// The local time, from which a search for local times behind this instant may start: in a
    /// span that clocks go through twice and are in for the second time, its end, since all its
    /// times have been.
    pub fn local(&self, time: Timestamp) -> Option<DateTime> {
        let instant = jiff::Timestamp::from_millisecond(time.millis()).ok()?;
        let local = self.0.to_datetime(instant);
        match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, after } if self.0.to_offset(instant) == after => {
                // What clocks showed when they were set back is the end of the span.
                let turned = self.0.preceding(instant.checked_add(ONE).ok()?).next()?;
                Some(before.to_datetime(turned.timestamp()))
            }
            _ => Some(local),
        }
    }

    /// The first instant at or behind which clocks show the local time: of two the earlier one, and
    /// for a time that is left out the instant at which clocks are set forward.
    pub fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let instant = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                // With the offset behind the gap the time names an instant before it.
                let early = after.to_timestamp(local).ok()?;
                self.0.following(early).next()?.timestamp()
            }
        };
        Timestamp::from_millis(instant.as_millisecond())
    }
}

const ONE: jiff::SignedDuration = jiff::SignedDuration::from_nanos(1);
