//! A store in memory, for tests and for trying things out.
//!
//! **It keeps nothing**: commits are gone when the store is dropped, and `Ok` from
//! [`commit`](crate::Trees::commit) promises no more than that every later read sees the commit.
//!
//! [`MemoryStore`] is the store; `rows` holds its rows and is its view; `commit` changes them, and
//! `stages` has the staged ones; `uploads` has the results of uploads; `ids` gives out ids.

mod store;

mod rows;

mod commit;
mod documents;
mod ids;
mod stages;
mod uploads;

pub use store::MemoryStore;
