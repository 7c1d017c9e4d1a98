//! Tasks and the workers that run them.
//!
//! [`Workers`] knows who is there: in memory, and in a document of each worker that the other
//! servers read. [`Dispatch`] reads the index of tasks that may be claimed, each part by a
//! `reader`, keeps those that are `ready` for workers `here`, and gives them to those that wait.
//! For a task whose rule chooses the worker (`routing`), that worker is written down first
//! (`route`), and the task is `kept` for it. Nothing here owns a task: a claim is an operation of
//! the engine, which one server's worker gets and the others do not.

mod counts;
mod document;
mod workers;

mod here;
mod reader;
mod ready;

mod kept;
mod routing;
mod waiting;

mod dispatch;

mod cancel;
mod held;
mod queue;
mod route;

pub(crate) use dispatch::Dispatch;
pub(crate) use queue::{Queue, QueuePosition};
pub use routing::{RoutedWorker, Router, Routers};
pub(crate) use workers::{WorkerError, Workers};
