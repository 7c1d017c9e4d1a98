//! Filters of root jobs in the Common Expression Language.
//!
//! [`Expression::compile`] parses and checks one, so that what is wrong is said with its position
//! and before any job is looked at; `check` bounds what one evaluation can cost; `row` is what an
//! expression sees of a job.
//!
//! Everything here computes and never waits: it belongs on a thread that may block.

mod check;
mod compile;
mod row;

pub(crate) use compile::{Expression, Invalid};
