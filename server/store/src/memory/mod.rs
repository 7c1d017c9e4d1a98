//! A store in memory, for tests and for trying things out.
//!
//! **It keeps nothing**: what was committed is gone when the store is dropped, and `Ok` from
//! [`commit`](crate::Store::commit) promises no more than that every later read sees it.
//!
//! [`MemoryStore`] is the store; `rows` holds what it has and is its [`View`](crate::View);
//! `commit` changes it; `ids` gives out ids.

mod store;

mod rows;

mod commit;
mod ids;

pub use store::MemoryStore;
