//! Does what is due: sends deliveries, and makes checks.
//!
//! What is due is an index in the store, written in the same commits as the states that it follows
//! from. [`Rounds`] reads it, part by part, each part by the one server that has the lease on it
//! ([`lease`]; [`due`] says how it is read, [`in_progress`] what is under way). A [`delivery`] is
//! prepared with its [`message`], sent when it has its turn at its receiver, and its outcome noted;
//! a [`check`] is made. The
//! engine notes both, like any other operation. A delivery is due until its outcome is noted, so
//! every receiver gets it at least once. Leases of tasks are due when they end: one lasts on if its
//! worker was heard of.

mod check;
mod delivery;
mod due;
mod in_progress;
mod lease;
mod message;
mod metrics;
mod parts;
mod rounds;
mod test_send;
mod uptime;
mod validator;

pub(crate) use in_progress::{Entry, InProgress};
pub(crate) use metrics::FollowUpMetrics;
pub(crate) use parts::{PREPARED, Parts};
pub(crate) use rounds::Rounds;
pub(crate) use test_send::test_send;
pub(crate) use uptime::Uptime;
pub(crate) use validator::{Unfit, Validator};
