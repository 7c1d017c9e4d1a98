//! Filters of root jobs in the Common Expression Language.
//!
//! [`Expression::compile`] parses and checks an expression, so that errors have a position and are
//! found before any job is read; `check` bounds the cost of one evaluation; `row` is what an
//! expression sees of a job; a `root_filter` has one among others.
//!
//! All code here computes without waiting: it belongs on a thread that may block.

mod check;
mod compile;
mod invalid;
mod root_filter;
mod row;

pub(crate) use compile::Expression;
pub(crate) use invalid::Invalid;
pub(crate) use root_filter::RootFilter;
