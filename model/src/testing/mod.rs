//! What tests of every level share: the worked examples of the rules, and a naive model that
//! computes everything anew from the own changes, written apart from [`rollup`](crate::rollup).

mod naive;
mod vectors;

pub use naive::{NaiveJob, NaiveTree};
pub use vectors::{Expected, Step, Vector};
