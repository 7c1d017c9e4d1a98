//! Checks that a history of concurrent operations on one tree is linearizable: that each operation
//! took effect at one instant between its first request and its last answer, in an order in which
//! the rules give every answer that was given.
//!
//! The algorithm is the search of J. M. Wing and C. Gong, "Testing and verifying concurrent
//! objects", Journal of Parallel and Distributed Computing 17 (1993): look depth first for an
//! order, next in which can only be an operation that began before all others that are left had
//! ended. With it goes the memory of G. Lowe, "Testing for linearizability", Concurrency and
//! Computation: Practice and Experience 29 (2017): a configuration, which is the set of operations
//! that have taken effect and the state that they led to, is searched once. The tree is one object;
//! nothing is assumed about parts of it being independent, since numbers go up to the root.
//!
//! What is added to that, each without loss:
//! - What fits the state and does not change it takes effect at once: any order that goes on from
//!   here is as good with it in front.
//! - Of creations under one parent that could be next, only the one that ends first is tried, of
//!   those whose job nothing names that began before they ended: with both exchanged, an order
//!   remains one.
//! - A configuration is left when something is due that cannot happen any more: own changes and
//!   descendants never become fewer, and ids are not used again.
//! - Where every operation of the past has ended before any of the future began, and each change
//!   is known by its number, the state is the same for all orders of the past, so none of them is
//!   looked at again.
//!
//! Sets and states are known by 64 bits each. Two that were taken for one could only have a good
//! history refused, never a bad one accepted.

mod generated;
mod history;
mod line;
mod planted;
mod search;
mod simulated;
mod tree;

pub use history::{Operation, Sight, What};
pub use search::{Failure, check};
