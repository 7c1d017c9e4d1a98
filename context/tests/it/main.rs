//! The context against a service in memory, whose faults are chosen. The tests of the server use
//! the context against the real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod children;
mod drops;
mod existing;
mod flushes;
mod follow_ups;
#[cfg(target_os = "linux")]
mod full;
mod ids;
mod journal;
mod kills;
mod left;
mod limits;
mod operation;
mod recorded;
mod refused;
mod rules;
mod sequences;
mod service;
mod streams;
mod tracker;
mod vectors;
