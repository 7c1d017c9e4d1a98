//! Schedules of all kinds of policies, and the times that they plan, known without the service.

use std::time::Duration;

use jobtracker_client::{
    NewTask, Payload, Retry, Timestamp,
    schedule::{
        Concurrency, Misfire, NewSchedule, RunTemplate, ScheduleDefinition, ScheduleTrigger,
        Sharding,
    },
};

use super::{LEASE_MS, Size, worker::HANDLER};

/// Shards of a run that is divided.
pub const SHARDS: u32 = 2;

pub struct Planned {
    pub schedule: NewSchedule,
    pub times: Vec<Timestamp>,
}

impl Planned {
    pub fn name(&self) -> &str {
        &self.schedule.name
    }

    /// The time from each to the next.
    pub fn every(&self) -> Duration {
        let millis = self.times[1].millis() - self.times[0].millis();
        Duration::from_millis(millis.unsigned_abs())
    }

    /// Whether an open run ends when a newer one takes its place.
    pub fn replaces(&self) -> bool {
        self.schedule.definition.concurrency == Concurrency::ReplaceRunning
    }
}

/// Schedules that fire from `begin` on.
pub fn plan(prefix: &str, begin: Timestamp, size: &Size) -> Vec<Planned> {
    let one = |number| one(&format!("{prefix}-{number}"), number, begin, size);
    (0..size.schedules).map(one).collect()
}

fn one(name: &str, number: u64, begin: Timestamp, size: &Size) -> Planned {
    let every = if number.is_multiple_of(8) { size.every * 2 / 5 } else { size.every };
    let period_ms = u64::try_from(size.every.as_millis()).unwrap();
    let start = begin.after(Duration::from_millis(number * 37 % period_ms));
    let end = begin.after(size.lasting);
    let after = |time: &Timestamp| Some(time.after(every)).filter(|time| *time < end);
    let times = std::iter::successors(Some(start), after).collect();
    let every_ms = u64::try_from(every.as_millis()).unwrap();
    let rate = ScheduleTrigger::FixedRate { every_ms, start: Some(start) };
    // Some take longer than a lease, where runs do not wait for each other.
    let is_long = number.is_multiple_of(9) && !number.is_multiple_of(4);
    let takes: u64 = if is_long { LEASE_MS } else { 30 };
    let retry = Retry { initial_ms: 50, factor: 1, ..Retry::times(1_000) };
    let params = Some(Payload::of(&takes).unwrap());
    let task = NewTask { params, ..NewTask::new(HANDLER).retry(retry) };
    let definition = ScheduleDefinition {
        end_at: Some(end),
        run: RunTemplate { task: Some(task), ..RunTemplate::default() },
        grace_ms: if number.is_multiple_of(2) { 500 } else { 60_000 },
        misfire: match number % 3 {
            0 => Misfire::FireOnce,
            1 => Misfire::Skip,
            _ => Misfire::FireAll { limit: 2 },
        },
        concurrency: match number % 4 {
            0 => Concurrency::Queue { limit: 100 },
            1 => Concurrency::DiscardNew,
            2 => Concurrency::ReplaceRunning,
            _ => Concurrency::Allow { max: 3 },
        },
        sharding: match number % 5 {
            0 => Sharding::Fixed { total: SHARDS },
            _ => Sharding::One,
        },
        ..ScheduleDefinition::new([rate])
    };
    Planned { schedule: NewSchedule::new(name, definition), times }
}
