//! The client against servers that misbehave in many ways. The tests of the server use the client
//! against the real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod canned;
mod stub;

mod build;
mod connections;
mod deadline;
mod endpoints;
mod ids;
mod lists;
mod outcomes;
mod rate;
mod repeats;
mod replies;
mod retry;
mod substitute;
mod tracker;
mod uploads;
mod wait;
