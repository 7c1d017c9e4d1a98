//! Runs of flows, recorded by the real service.

mod recorded;
mod restarted;
mod tree;
