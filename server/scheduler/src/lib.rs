//! Schedules: when runs are due, the firings, and the runs that they make.
//!
//! Reading order: a [`Plan`] is a definition that can be asked for its times (`cron` in its `zone`,
//! daily `windows`); a `record` is what the store keeps of a schedule, one of its `documents`;
//! `advance` is pure and brings a record up to a time, one conditional put for all that it decides;
//! the [`Scheduler`] does that for callers, and the [`Timer`] when something is due (`timetable`)
//! or a run has ended; then the trees of `runs` are made. Nothing here knows HTTP or a database
//! driver.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod error;

mod cron;
mod plan;
mod windows;
mod zone;

mod advance;
mod documents;
mod record;

mod followed;
mod ids;
mod runs;
mod scheduler;
mod timer;
mod timetable;

pub use error::{Error, Result};
pub use plan::{Bases, Plan, preview};
pub use scheduler::{Fleet, Scheduler};
pub use timer::Timer;
