//! The embedded store: the suite that every backend passes, and tests of errors that only a store
//! on a disk can have.

#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, reason = "what a test builds on has to be there")]

mod disk;
mod forest;

mod coherence;
mod contents;
mod crash;
mod damage;
mod deletion;
mod documents;
mod faults;
mod full;
mod opening;
mod replay;
mod staging;
mod suite;
mod tails;
