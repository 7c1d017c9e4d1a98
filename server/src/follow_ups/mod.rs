//! Does what is due: tells those who are to be told, and makes the checks whose time has come.
//!
//! What is due is a list in the store, written in the same commits as the states that it follows
//! from. [`Rounds`] reads it, part by part, each part by the one server that has the lease on it
//! ([`lease`]; [`due`] says how it is read, [`hand`] what is being done); a [`delivery`] is tried
//! when its receiver has a place, and what came of it noted; a [`check`] is made; both are noted by
//! the engine like everybody else's work. What is not noted is still due: so everybody is told at
//! least once.

mod cause;
mod check;
mod delivery;
mod due;
mod in_progress;
mod lease;
mod metrics;
mod notice;
mod rounds;
mod test_send;
mod uptime;
mod validator;

pub(crate) use cause::said;
pub(crate) use metrics::FollowUpMetrics;
pub(crate) use rounds::{PREPARED, Parts, Rounds};
pub(crate) use test_send::test_send;
pub(crate) use uptime::Uptime;
pub(crate) use validator::{Unfit, Validator};
