//! Schedules: when work is due, what is done when a time was missed or a run is still open, and
//! what a schedule tells of its firings.
//!
//! A [`ScheduleDefinition`] has [triggers](ScheduleTrigger), policies and a [`RunTemplate`]. For
//! each time that a trigger plans there is one [`Firing`]; a firing that starts something makes a
//! run, which is a root job.

mod alarm;
mod definition;
mod firing;
mod policy;
mod registration;
mod trigger;
mod view;

pub use alarm::{AlarmAction, ScheduleAlarm};
pub use definition::{RunTemplate, ScheduleDefinition};
pub use firing::{Firing, FiringCause, FiringOutcome, SkipReason};
pub use policy::{Concurrency, ConcurrencyScope, Misfire, MisfirePolicy, Sharding};
pub use registration::{RegisterSchedule, Registration, ScheduleCode, ScheduleRegistered};
pub use trigger::{DailyWindow, RunEnding, ScheduleTrigger, TimeOfDay, Weekday};
pub use view::{
    NewSchedule, NextFires, PlannedTimes, Schedule, ScheduleStatistics, TriggerSchedule, Triggered,
};
