//! The suite that every backend passes, by one call of [`run`] in its tests.
//!
//! Each phase fills a fresh store and compares what can be read with what should be there, before
//! and after the store was closed and opened again. The due answers are found in two steps, neither
//! of which shares code with a backend: `forest` keeps all jobs in plain maps and makes commits
//! with the model's roll-up, as the engine does; `expected` answers every question by checking
//! every job.
//!
//! Tests that change what a store does on the way of some calls have [`Through`]; those that have
//! calls of a process fail, or kill it there, [`faults`].

#![warn(missing_docs)]

mod fixture;

mod draft;
mod expected;
mod followed;
mod forest;
mod kept;

mod compare;
mod indexes;
mod pages;
mod stage;
mod staged;

mod bulk;
mod child_indexes;
mod commits;
mod deletion;
mod documents;
mod follow_ups;
mod hiding;
mod history;
mod ids;
mod lists;
mod offsets;
mod random;
mod readers;
mod rows;
mod shapes;
mod staging;
mod unknown;
mod uploads;

mod through;

pub mod faults;

pub use compare::{compare_roots, compare_trees};
pub use fixture::Fixture;
pub use forest::Forest;
pub use indexes::compare_indexes;
pub use random::random_work;
pub use staged::Staging;
pub use through::{Hooks, Through};

/// Runs every phase.
///
/// Wants a runtime with several threads, without which nothing happens at the same time.
///
/// # Panics
/// A phase fails; the message says which one, what was asked, what came and what was due.
pub async fn run<F: Fixture>(fixture: &F) {
    for part in 0..PARTS {
        run_part(fixture, part).await;
    }
}

/// Parts of the suite, for backends that take long and can do several at a time.
pub const PARTS: usize = 6;

/// Runs the phases of one part, as [`run`] does those of all.
///
/// # Panics
/// A phase fails, or there is no such part.
pub async fn run_part<F: Fixture>(fixture: &F, part: usize) {
    match part {
        0 => {
            unknown::run(fixture).await;
            commits::run(fixture).await;
            child_indexes::run(fixture).await;
            lists::run(fixture).await;
        }
        1 => {
            history::run(fixture).await;
            rows::run(fixture).await;
            ids::run(fixture).await;
            follow_ups::run(fixture).await;
            uploads::run(fixture).await;
            documents::run(fixture).await;
        }
        2 => {
            hiding::run(fixture).await;
            staging::run(fixture).await;
        }
        3 => random::run(fixture).await,
        4 => {
            readers::run(fixture).await;
            offsets::run(fixture).await;
            bulk::run(fixture).await;
        }
        5 => deletion::run(fixture).await,
        _ => panic!("the suite has no part {part}"),
    }
}
