//! The ScyllaDB store on a real cluster, which `dev/test` brings up.

#![cfg(feature = "scylla")]
#![allow(clippy::unwrap_used, reason = "what a test builds on has to be there")]

mod cluster;
mod frames;
mod gatekeeper;
mod proxy;

mod faulty;
mod leftovers;
mod space;

mod crash;
mod deletions;
mod documents;
mod encrypted;
mod entering;
mod faults;
mod follow_ups;
mod index;
mod leases;
mod lost_writes;
mod open;
mod reservations;
mod rivals;
mod roots;
mod suite;
