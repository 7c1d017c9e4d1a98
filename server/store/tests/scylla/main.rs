//! The ScyllaDB store on a real cluster, which `dev/test` brings up.

#![cfg(feature = "scylla")]
#![allow(clippy::unwrap_used, reason = "what a test builds on has to be there")]

mod cluster;
mod frames;
mod proxy;

mod faulty;
mod leftovers;
mod space;

mod claims;
mod crash;
mod faults;
mod lost_writes;
mod rivals;
mod suite;
