use croner::{
    Cron as Pattern,
    parser::{CronParser, Seconds, Year},
};
use jiff::civil::DateTime;
use jobtracker_model::{FieldError, Timestamp};

use crate::zone::Zone;

/// A pattern of cron in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    pattern: Pattern,
    zone: Zone,
}

impl Cron {
    pub fn new(pattern: &str, zone: &str) -> Result<Self, FieldError> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Optional).build();
        let bad = |error| FieldError::new("pattern", format!("{error}"));
        let pattern = parser.parse(pattern).map_err(bad)?;
        let cron = Self { pattern, zone: Zone::new(zone)? };
        if cron.next(Timestamp::MIN).is_none() {
            return Err(FieldError::new("pattern", "no time matches it"));
        }
        Ok(cron)
    }

    /// The first planned time behind this one. The local times that match are in order, and so are
    /// their instants, though several local times may have one instant: those that a
    /// daylight-saving change leaves out.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let local = self.zone.local(after)?;
        // A search has whole seconds; a time within the second may be the end of a repeated span.
        let mut from = local.with().subsec_nanosecond(0).build().ok()?;
        loop {
            let found: DateTime = self.pattern.find_next_occurrence(&from, true).ok()?;
            let instant = self.zone.instant(found)?;
            if instant > after {
                return Some(instant);
            }
            from = found.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
        }
    }
}
