//! Runs as trees of jobs.

mod outbox;
mod recorder;
mod recording;
mod sink;
mod texts;
mod writer;

pub use recorder::{Recorder, RecorderStats};
