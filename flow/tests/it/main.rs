//! The behaviours of flows, numbered: `b08` is the eighth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod build;
mod cancel;
mod drawing;
mod failure;
mod observers;
mod panics;
mod rerun;
mod retry;
mod running;
mod stress;
mod support;
mod time;
