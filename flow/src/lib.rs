//! Typed DAGs in a process: a job as steps that depend on each other.
//!
//! The compiler checks what steps hand to each other. A run starts each step the moment its last
//! dependency has ended, tries again what fails, says what it did, and can be continued from where
//! it failed.
//!
//! ```
//! use std::time::Duration;
//! use jobtracker_flow::{ConstantBuilder, FlowBuilder};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut flow = FlowBuilder::<u64>::new("squares");
//! let again = ConstantBuilder::default().with_delay(Duration::from_millis(3)).with_max_times(3);
//! let square = flow.step("square").retry(again).run(|cx, ()| async move {
//!     if cx.attempt() == 1 {
//!         return Err("not yet".into());
//!     }
//!     Ok(**cx.input() * **cx.input())
//! });
//! let text = flow.step("text").needs(square).run(|_, square| async move {
//!     Ok(format!("the square is {square}")) // an Arc<u64>
//! });
//! let flow = flow.build_with(text)?;
//!
//! let run = flow.start(12);
//! assert_eq!(*run.result().await?, "the square is 144");
//! run.wait().await?;
//! assert_eq!(run.snapshot().step("square").map(|step| step.attempts), Some(2));
//! println!("{}", run.snapshot().to_mermaid());
//! # Ok(())
//! # }
//! ```
//!
//! # The tour
//! - [`FlowBuilder`] defines: [`StepBuilder`] is one step with what it [needs](StepBuilder::needs)
//!   ([`Deps`]), what it comes [after](StepBuilder::after), and its policies. Its body is given a
//!   [`Cx`] and what it needs, and answers a [`Step`], the handle that later steps name. There are
//!   no cycles, since a handle is there only after its step.
//! - [`Flow`] is what was built. It does not change and can stand in a `static`; any number of runs
//!   may be at work at once, as [`RunOptions`] say.
//! - [`Run`] is one of them: [`wait`](Run::wait), [`output`](Run::output),
//!   [`cancel`](Run::cancel), [`rerun`](Run::rerun). A step whose dependency did not succeed is
//!   skipped, and says so; a panic is a failure.
//! - [`StepError`] is why a step did not succeed, [`FlowError`] why a run did not, [`BuildError`]
//!   why there is no flow.
//! - [`Snapshot`] is a run as it stands, and [draws](Snapshot::to_dot) it.
//! - [`Observer`] is told what happens, and [`Recorder`] is one that records runs as trees of jobs
//!   in a service.
//!
//! The life of a step inside: `builder` defines it, `plan` keeps it, `run` starts a run of it,
//! `running` counts its dependencies, `scheduler` has it ready, `runner` takes it, `attempt` runs
//! its body, and `running` says what follows from its end. `snapshot` looks at it, `draw` shows it,
//! and `record` tells of it.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod builder;
mod deps;
mod policy;
mod step;

mod flow;
mod identity;
mod options;
mod plan;

mod body;
mod cx;

mod rerun;
mod run;

mod permit;
mod runner;
mod running;
mod scheduler;
mod slot;
mod watch;

mod error;
mod observer;
mod snapshot;

mod draw;
mod record;

pub use body::{Attempt, AttemptInfo};
pub use builder::{BuildError, BuildMistake, FlowBuilder, StepBuilder};
pub use cx::Cx;
pub use deps::Deps;
pub use error::{BoxError, FlowError, StepError, StepErrorKind};
pub use flow::Flow;
pub use identity::{Parent, RunId, RunInfo};
pub use observer::{Event, Observer, RunView};
pub use options::{OnFailure, RunOptions};
pub use record::{Recorder, RecorderStats};
pub use rerun::{Rerun, RerunError};
pub use run::{CancelOnDrop, Run};
pub use slot::StepState;
pub use snapshot::{Counts, Retried, Snapshot, StepSnapshot};
pub use step::{Need, NeedKind, Settled, Step, StepId, StepMeta};

/// The pauses between attempts, from the crate `backon`.
pub use backon::{BackoffBuilder, ConstantBuilder, ExponentialBuilder, FibonacciBuilder};
/// What tells bodies to end, from the crate `tokio-util`.
pub use tokio_util::sync::CancellationToken;
