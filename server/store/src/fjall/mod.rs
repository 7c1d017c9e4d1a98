//! The default store: an embedded log-structured engine in a directory of its own.
//!
//! Reading order: [`FjallStore`] is the entry point. The `keeper` keeps the engine open: each
//! `session` is one opening of it (what stays is `lasting`), and after a failure there is a new
//! one as soon as the `probe` finds what it needs; `health` says whether that can still be hoped
//! for. `hot_cache` answers what is hot without leaving the caller's thread and holds the present
//! `snapshot`; `low_water` says where the lists by time begin in it. `readers` answer the rest from
//! a snapshot (`view`), which can be `held`; one `writer` turns all waiting `work` into one
//! `group`, which is one durable batch (`writes`).
//! Between groups it goes on with the `chores`, long work that is done in steps: `stages` are rows
//! that are written and hidden, `stage_rows` writes them and `clean` removes the discarded ones;
//! `delete` removes the trees that are `gone` (`job_rows` are those of one job), and `reclaim`
//! gives their space back, at the pace of `pacing`; `uploads` looks after uploads, `documents`
//! after documents. `keys`, `coding` is the format of the rows, `ids` that of sets of ids, `tables`
//! the tuning of the engine. `directory`, `contents`, `journal` and `tail` look after the directory
//! before the engine may touch it; `space` keeps the disk from filling up.

mod options;
mod store;

mod health;
mod keeper;
mod lasting;
mod probe;
mod session;

mod held;
mod hot_cache;
mod low_water;
mod readers;
mod snapshot;
mod view;

mod group;
mod intake;
mod retired;
mod work;
mod writer;
mod writes;

mod chores;
mod clean;
mod delete;
mod documents;
mod gone;
mod job_rows;
mod pacing;
mod reclaim;
mod replay;
mod stage_rows;
mod stages;

mod ids;
mod keys;
mod tables;

mod contents;
mod directory;
mod journal;
mod names;
mod space;
mod tail;
mod uploads;
mod uptime;

mod failure;
mod gauges;

pub use options::{FjallOptions, FreeSpace};
pub use store::FjallStore;
