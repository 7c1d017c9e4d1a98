//! The default store: an embedded log-structured engine in a directory of its own.
//!
//! Reading order: [`FjallStore`] is the door. `front` answers what is hot without leaving the
//! caller's thread and decides what "now" is; `readers` answer the rest from a snapshot (`view`);
//! one `writer` turns all waiting commits into one `group`, which is one durable batch. `keys` and
//! `coding` are the format of the rows, `tables` the tuning of the engine. `place`, `journal` and
//! `tail` look after the directory before the engine may touch it; `space` keeps the disk from
//! filling up.

mod options;
mod store;

mod front;
mod readers;
mod view;

mod group;
mod retired;
mod writer;

mod coding;
mod keys;
mod tables;

mod journal;
mod place;
mod space;
mod tail;

mod failure;
mod gauges;

pub use options::{FjallOptions, FreeSpace};
pub use store::FjallStore;
