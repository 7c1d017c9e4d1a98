use std::time::Duration;

use jobtracker_model::{
    FieldError, Timestamp,
    schedule::{ScheduleDefinition, ScheduleTrigger},
};

use crate::{cron::Cron, windows::Windows};

/// A definition that can be asked for its planned times.
#[derive(Debug, Clone)]
pub struct Plan {
    triggers: Vec<Trigger>,
    windows: Windows,
    start: Timestamp,
    end: Timestamp,
}

#[derive(Debug, Clone)]
enum Trigger {
    Cron(Box<Cron>),
    Rate { every: i64, start: Option<Timestamp> },
    Delay(Duration),
    Once(Timestamp),
    Delayed(Duration),
}

/// The times of a schedule from which some of its triggers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bases {
    /// When the schedule was created.
    pub created: Timestamp,
    /// When its definition was put.
    pub changed: Timestamp,
    /// When the last run ended, or the definition was put, or the schedule enabled; `None` while a
    /// run is awaited.
    pub rested: Option<Timestamp>,
}

impl Plan {
    /// Makes a definition ready to be asked.
    ///
    /// # Errors
    /// A pattern or a time zone that cannot be understood, a field past its limit.
    pub fn new(definition: &ScheduleDefinition) -> Result<Self, FieldError> {
        definition.check()?;
        let mut triggers = Vec::new();
        for (at, trigger) in definition.triggers.iter().enumerate() {
            let ready = Trigger::new(trigger).map_err(|error| {
                FieldError::new(format!("triggers[{at}].{}", error.field), error.reason)
            })?;
            triggers.extend(ready);
        }
        let windows = Windows::new(&definition.windows)
            .map_err(|error| FieldError::new("windows", error.reason))?;
        let start = definition.start_at.unwrap_or(Timestamp::MIN);
        let end = definition.end_at.unwrap_or(Timestamp::MAX);
        Ok(Self { triggers, windows, start, end })
    }

    /// The first planned time behind this one.
    #[must_use]
    pub fn next(&self, after: Timestamp, bases: Bases) -> Option<Timestamp> {
        let after = after.max(self.start.before(MILLISECOND));
        let next = |trigger: &Trigger| self.next_of(trigger, after, bases);
        let next = self.triggers.iter().filter_map(next).min()?;
        (next < self.end).then_some(next)
    }

    /// Whether a time is before the end of all planned times.
    pub(crate) fn is_before_end(&self, time: Timestamp) -> bool {
        time < self.end
    }

    /// When the fixed delay is over, if there is one and its time runs.
    pub(crate) fn delay(&self, bases: Bases) -> Option<Timestamp> {
        let is_delay = |trigger: &&Trigger| matches!(trigger, Trigger::Delay(_));
        let delay = self.triggers.iter().find(is_delay)?;
        self.next_of(delay, Timestamp::MIN, bases)
    }

    fn next_of(&self, trigger: &Trigger, mut after: Timestamp, bases: Bases) -> Option<Timestamp> {
        match trigger {
            Trigger::Once(at) => (*at > after).then_some(*at),
            Trigger::Delayed(pause) => Some(bases.changed.after(*pause)).filter(|at| *at > after),
            // It counts from the end of a run alone, so it may be planned for a time that is past.
            Trigger::Delay(pause) => {
                self.windows.at_or_behind(bases.rested?.after(*pause).max(self.start))
            }
            Trigger::Cron(_) | Trigger::Rate { .. } => {
                for _ in 0..WINDOWS_TRIED {
                    let at = trigger.next(after, bases.created)?;
                    let inside = self.windows.at_or_behind(at)?;
                    if inside == at || at >= self.end {
                        return Some(at);
                    }
                    after = inside.before(MILLISECOND);
                }
                None
            }
        }
    }
}

/// The times behind one that a definition would plan if it were put now, as far as they do not
/// depend on runs; at most this many.
#[must_use]
pub fn preview(plan: &Plan, after: Timestamp, now: Timestamp, count: usize) -> Vec<Timestamp> {
    let bases = Bases { created: now, changed: now, rested: None };
    let next = |after: &Timestamp| plan.next(*after, bases);
    std::iter::successors(next(&after), next).take(count).collect()
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// Windows that are tried for a time within one: daily ones of ten years. Triggers that never meet
/// their windows plan nothing.
const WINDOWS_TRIED: usize = 4_000;

impl Trigger {
    /// `None`: it plans no time by itself.
    fn new(trigger: &ScheduleTrigger) -> Result<Option<Self>, FieldError> {
        Ok(Some(match trigger {
            ScheduleTrigger::Cron { pattern, zone } => {
                Self::Cron(Box::new(Cron::new(pattern, zone)?))
            }
            ScheduleTrigger::FixedRate { every_ms, start } => {
                Self::Rate { every: i64::try_from(*every_ms).unwrap_or(i64::MAX), start: *start }
            }
            ScheduleTrigger::FixedDelay { delay_ms } => {
                Self::Delay(Duration::from_millis(*delay_ms))
            }
            ScheduleTrigger::Once { at } => Self::Once(*at),
            // Behind the time of the definition, up to which all is decided.
            ScheduleTrigger::Delayed { after_ms } => {
                Self::Delayed(Duration::from_millis((*after_ms).max(1)))
            }
            ScheduleTrigger::After { .. } => return Ok(None),
        }))
    }

    /// The first time behind this one, of those that follow from the trigger alone.
    fn next(&self, after: Timestamp, created: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next(after),
            Self::Rate { every, start } => {
                let first = start.map_or(created.millis() + every, Timestamp::millis);
                let behind = after.millis() - first;
                let steps = if behind < 0 { 0 } else { behind / every + 1 };
                Timestamp::from_millis(first.checked_add(steps.checked_mul(*every)?)?)
            }
            Self::Delay(_) | Self::Once(_) | Self::Delayed(_) => None,
        }
    }
}
