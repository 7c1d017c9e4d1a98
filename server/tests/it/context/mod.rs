//! The buffered context against the real service.

mod examples;
mod faults;
mod killed;
mod million;
mod proxy;
mod splits;
