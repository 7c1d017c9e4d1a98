//! What a process adds to run tasks: it names its handlers, and is given work.
//!
//! ```no_run
//! use jobtracker_client::JobTrackerClient;
//! use jobtracker_worker::{Failure, Outcome, Success, TaskContext, Worker};
//!
//! async fn nightly(cx: TaskContext) -> Outcome {
//!     let days: u32 = cx.params()?;
//!     for day in 0..days {
//!         cx.log(format!("day {day}")).await;
//!         cx.progress((100 * day / days) as u8);
//!         if cx.is_cancelled() {
//!             return Err(Failure::Failed("it was cancelled".into()));
//!         }
//!     }
//!     Ok(Success::new())
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = JobTrackerClient::builder("http://127.0.0.1:8840").build()?;
//! let worker = Worker::builder(client, "reports")
//!     .handler("reports/nightly", "makes the report of some days", nightly)
//!     .slots(8)
//!     .build()?;
//! // Until SIGTERM or SIGINT; then it finishes what it has.
//! worker.run(jobtracker_worker::terminated()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A worker opens no port: it asks the service for tasks and waits. It has each task on lease as
//! long as the service hears of it. When it has not been heard of for a lease time, it stops what
//! it runs, since others may run it by then. So a task is run at least once, and by one valid
//! attempt at a time; [`TaskContext::epoch`] fences what a handler writes elsewhere.
//!
//! While the service is away, reports of attempts that have ended are sent again and again; each
//! keeps its slot meanwhile, so there are no more of them than slots.
//!
//! Reading order: [`Handler`] is what a program writes, [`TaskContext`] what it is given,
//! [`Worker`] what runs it; inside, `registration` claims and is heard of, `attempt` runs one task.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod attempt;
mod builder;
mod context;
mod handler;
mod lease;
mod load;
mod log;
mod outcome;
mod registration;
mod report;
mod spool;
mod surroundings;
mod worker;

pub mod builtin;

pub use builder::{BuildError, WorkerBuilder};
pub use context::TaskContext;
pub use handler::Handler;
pub use outcome::{BoxError, Failure, Outcome, Success};
pub use surroundings::{environment_labels, terminated};
pub use worker::{Worker, WorkerError};
