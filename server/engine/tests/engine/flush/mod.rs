//! Commits of contexts, record by record, over the memory store and the embedded one.

mod again;
mod faults;
mod recording;
mod splits;
mod trees;
