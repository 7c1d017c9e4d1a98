//! The context against a service in memory, whose faults are chosen. Against the real server it is
//! tested there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod recorded;
mod service;
mod tracker;

mod children;
mod drops;
mod existing;
mod flushes;
mod ids;
mod journal;
mod kills;
mod limits;
mod operation;
mod rules;
mod sequences;
mod streams;
mod vectors;
