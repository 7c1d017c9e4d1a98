//! A store in memory, for tests and for trying things out.
//!
//! **It keeps nothing**: what was committed is gone when the store is dropped, and `Ok` from
//! [`commit`](crate::Store::commit) promises no more than that every later read sees it.
//!
//! [`MemoryStore`] is the store; `rows` holds what it has and is its [`View`](crate::View);
//! `commit` changes it, and `stages` has what will be; `tree_results` tells of commits that were
//! sent; `ids` gives out ids.

mod store;

mod rows;

mod commit;
mod ids;
mod stages;
mod uploads;

pub use store::MemoryStore;
