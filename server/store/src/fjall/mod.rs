//! The default store: an embedded log-structured engine in a directory of its own.
//!
//! Reading order: [`FjallStore`] is the door. The `keeper` keeps the engine open: each `session` is
//! one opening of it, and after a failure there is a new one as soon as the `probe` finds what it
//! needs; `health` says whether that can still be hoped for. `front` answers what is hot without
//! leaving the caller's thread and decides what "now" is (`moment`); `firsts` says where the lists
//! by time begin then. `readers` answer the rest from a snapshot (`view`); one `writer` turns all
//! waiting `work` into one `group`, which is one durable batch (`writes`). Between groups it goes
//! on with the `chores`, long work that is done in steps: `stages` are rows that are there and
//! hidden, `put_aside` writes them and `clean` removes the discarded ones; `conclude` and `forget`
//! look after commits that were sent. `keys`, `follow_ups` and `coding` are the format of the rows,
//! `ids` that of sets of ids, `tables` the tuning of the engine. `place`, `contents`, `journal` and
//! `tail` look after the directory before the engine may touch it; `space` keeps the disk from
//! filling up.

mod options;
mod store;

mod health;
mod keeper;
mod probe;
mod session;

mod firsts;
mod front;
mod moment;
mod readers;
mod view;

mod group;
mod intake;
mod retired;
mod work;
mod writer;
mod writes;

mod chores;
mod clean;
mod conclude;
mod follow_ups;
mod forget;
mod put_aside;
mod stages;

mod ids;
mod keys;
mod tables;

mod contents;
mod journal;
mod place;
mod space;
mod tail;
mod uptime;

mod failure;
mod gauges;

pub use options::{FjallOptions, FreeSpace};
pub use store::FjallStore;
