//! Tasks and the workers that run them.
//!
//! [`Workers`] knows who is there: in memory, and in a document of each worker that the other
//! servers read. [`Dispatch`] reads the index of tasks that may be claimed and gives them to
//! workers that wait. Nothing here owns a task: a claim is an operation of the engine, which one
//! server's worker gets and the others do not.

mod document;
mod workers;

mod dispatch;
mod held;

pub(crate) use dispatch::Dispatch;
pub(crate) use workers::{WorkerError, Workers};
