//! Buffered recording of job trees: jobs and their changes go into memory as fast as it takes
//! them, and to the service at once, as whole trees.
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobtracker_client::{JobTrackerClient, NewChange, NewJob, State};
//! use jobtracker_context::JobTrackerContext;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker = Arc::new(JobTrackerClient::new("http://127.0.0.1:8840")?);
//! let context = JobTrackerContext::builder(tracker).journal("import.journal").build()?;
//! let root = context.create(NewJob::new("nightly import")).await?;
//! let mut batch = context.batch();
//! for file in ["customers.csv", "orders.csv"] {
//!     batch.add(move |context| async move {
//!         let job = context.create(NewJob::new(file).under(root)).await?;
//!         context.update(job, NewChange::new(State::Running)).await?;
//!         context.update(job, NewChange::new(State::RanToCompletion)).await
//!     });
//! }
//! batch.parallel(8).run().await?;
//! context.update(root, NewChange::new(State::RanToCompletion)).await?;
//! let job = context.get(root).await?.expect("it is in the buffer");
//! assert_eq!(job.node.status.state, State::RanToCompletion);
//! context.commit_and_close().await?; // now every reader sees it
//! # Ok(())
//! # }
//! ```
//!
//! # The tour
//! - [`JobTrackerContext`] records and sends; its page says what holds for all its methods.
//! - [`ContextTracker`] is what it needs of a service: a client has it, and so can a substitute.
//! - [`ContextBuilder`] sets up bounds, and what happens at them ([`WhenFull`]), flushes in the
//!   background, ids, the clock, and the journal ([`Fsync`]).
//! - [`Flushed`] is the outcome of what was sent, [`Error`] why a call failed.
//! - [`BatchOperation`] runs async work on a context, with bounded parallelism.
//! - [`JobTrackerContext::recover`] sends what a killed process has left in its journal;
//!   [`unsent_drops`] counts the contexts that were dropped with something in them.
//! - [`RefusedTree`] is what the service did not take, and [`SavedTrees`] sends it from a file.
//!
//! The way of an operation inside: `context` checks it, `budget` has room for it, `buffer` finds
//! its tree, `tree` applies it by the rules of the model and writes it down for the next flush,
//! `journal` does the same on disk. The way of a flush: `flush` has `tree` freeze what was
//! recorded into a batch of `upload`, which writes it as a stream for the client.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod context;

mod builder;
mod error;
mod job;
mod summary;

mod operation;

mod auto;
mod budget;
mod buffer;
mod clock;
mod durable_file;
mod flush;
mod follow_ups;
mod ids;
mod inner;
mod journal;
mod paths;
mod record;
mod recover;
mod refused;
mod replay;
mod room;
mod saved;
mod tree;
mod upload;

pub use budget::WhenFull;
pub use builder::ContextBuilder;
pub use context::JobTrackerContext;
pub use error::{Error, Result};
pub use inner::unsent_drops;
pub use job::ContextJob;
pub use journal::Fsync;
pub use operation::{BatchError, BatchOperation, OnError, TaskFailure};
pub use refused::RefusedTree;
pub use saved::SavedTrees;
pub use summary::{Discarded, Flushed, RecoverReport, Stats};

pub use jobtracker_client::ContextTracker;
