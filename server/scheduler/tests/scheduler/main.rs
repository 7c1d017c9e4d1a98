//! Tests of schedules: the times that a definition plans, and what becomes of each of them.

#![allow(clippy::unwrap_used)]

mod clock;
mod firing;
mod plan;
mod servers;
mod world;
