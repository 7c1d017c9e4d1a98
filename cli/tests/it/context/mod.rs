//! The buffered context against the real service.

mod examples;
mod faults;
mod follow_ups;
mod killed;
mod million;
mod proxy;
mod refused;
mod splits;
