//! The engine through its handle, over real stores.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod bounds;
mod concurrent;
mod deletion;
mod feed;
mod follow_ups;
mod gate;
mod harness;
mod operations;
mod sequences;
mod servers;
mod tasks;
mod upload;
mod waits;
