//! Checks that a history of concurrent operations on one tree is linearizable: that each operation
//! took effect at one instant between its first request and its last answer, in an order in which
//! the rules lead to every answer that a client got.
//!
//! The algorithm is the search of J. M. Wing and C. Gong, "Testing and verifying concurrent
//! objects", Journal of Parallel and Distributed Computing 17 (1993): search depth first for an
//! order, in which only an operation can be next that began before all others that are left had
//! ended. To this it adds the cache of G. Lowe, "Testing for linearizability", Concurrency and
//! Computation: Practice and Experience 29 (2017): a configuration, which is the set of operations
//! that have taken effect and the state that they led to, is searched once. The tree is one object;
//! its parts are not assumed to be independent, since numbers go up to the root.
//!
//! Additions to that, each without loss:
//! - An operation that fits the state and does not change it takes effect at once: any order that
//!   continues from here stays valid with it in front.
//! - Of creations under one parent that could be next, only the one that ends first is tried, among
//!   those whose job is not named by any operation that began before they ended: with both
//!   exchanged, an order remains valid.
//! - A configuration is left when an operation is due that cannot happen any more: own changes and
//!   descendants never become fewer, and ids are not used again.
//! - Where every operation of the past has ended before any of the future began, and each change is
//!   known by its number, the state is the same for all orders of the past, so none of them is
//!   searched again.
//!
//! Sets and states are represented by 64 bits each. A collision of two could only refuse a good
//! history, never accept a bad one.

mod generated;
mod history;
mod line;
mod planted;
mod search;
mod simulated;
mod tree;

pub use history::{Operation, Sight, What};
pub use search::{Failure, check};
