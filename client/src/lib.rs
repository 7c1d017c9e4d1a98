//! The direct API of jobtracker for Rust services: trees of jobs over HTTP.
//!
//! ```no_run
//! use std::time::Duration;
//! use jobtracker_client::{JobTrackerClient, NewChange, NewJob, State};
//!
//! # async fn run() -> jobtracker_client::Result<()> {
//! let tracker = JobTrackerClient::builder("http://127.0.0.1:8840").bearer_token("…").build()?;
//! let root = tracker.create(NewJob::new("nightly import").tag("import")).await?.id;
//! let child = tracker.create(NewJob::new("customers.csv").under(root)).await?.id;
//! tracker.update(root, NewChange::new(State::RanToCompletion)).await?;
//! tracker.update(child, NewChange::new(State::Faulted).message("no such file")).await?;
//! let waited = tracker.wait_finished(root, Duration::from_secs(600)).await?;
//! assert_eq!(waited.state, State::Faulted); // a job with a failed child has failed
//! # Ok(())
//! # }
//! ```
//!
//! # The tour
//! - [`JobTracker`] is what can be asked, in parts ([`Jobs`], [`Lists`], …), and what holds for
//!   every call: when a write is durable, what is repeated, what a dropped future leaves behind.
//! - [`JobTrackerClient`] is the one that asks over HTTP; a program can put a substitute for one of
//!   the parts in its place. [`ClientBuilder`] sets up address,
//!   token, time-outs, the overall deadline, retries, rate limit.
//! - [`ListPage`], [`ListJobs`], [`RootsQuery`] and [`LogQuery`] say which part of a list; every
//!   list also comes as an [`ItemStream`].
//! - [`Uploads::upload`] sends whole trees at once, from a [`UploadSource`]; the buffered
//!   context of `jobtracker-context` has one.
//! - [`JobTrackerClient::watch`] and [`watch_tree`](JobTrackerClient::watch_tree) tell what happens
//!   while it happens; [`watch_roots`](JobTrackerClient::watch_roots) and its like, how the service
//!   is now.
//! - [`JobTrackerClient::export`] is a backup of a service that runs.
//! - [`IdBlocks`] has ids for jobs that are named before they are created.
//! - [`Error`] is why a call failed: by [`ProblemCode`] if the service said so.
//! - The rest are the words of the service, from `jobtracker-model`.
//!
//! The way of a call inside: `endpoints` says what to send, `request` sends it, `reply` reads the
//! answer.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod tracker;

mod access;
mod builder;
mod client;
mod endpoints;
mod error;
mod export;
mod frames;

mod call;
mod ids;
mod queue;
mod rate;
mod reply;
mod request;
mod retention;
mod retry;
mod rows;
mod schedules;
mod states;
mod tries;
mod upload;
mod watch;
mod workers;

pub use builder::ClientBuilder;
pub use client::JobTrackerClient;
pub use error::{Error, Result};
pub use export::ExportStream;
pub use ids::IdBlocks;
pub use queue::QueueQuery;
pub use retry::RetryPolicy;
pub use states::{StateWatch, WatchedRoots};
pub use tracker::{
    Attachments, ContextTracker, Creations, Deliveries, FollowUps, ItemStream, JobTracker, Jobs,
    ListChildren, ListJobs, ListPage, Lists, LogFrom, LogQuery, LogText, Logs, RootsQuery,
    UploadSource, Uploads,
};
pub use watch::{Watch, WatchFilter, Watched};

pub use jobtracker_model::{
    Action, ActionView, Added, Ancestors, AttachmentInfo, Attempt, Blocker, Category, Change,
    Channel, CheckKind, CheckStatus, CheckView, Children, ChildrenPage, Created, CreatedToken,
    Definition, DeletedTree, Delivery, DeliveryStatus, EmailAction, Event, Expect, ExportCounts,
    ExportPosition, ExportRequest, ExportedRoot, FieldError, Histogram, HttpAction, HttpView,
    IdBlock, InvalidId, InvalidTimestamp, Job, JobAction, JobCheck, JobId, JobNode, JobState,
    KeptFailure, LogAppended, LogLine, Mark, NamedRetentionRule, NewChange, NewCheck, NewJob,
    NewLogLines, NewToken, Order, Overview, Page, PathStep, Payload, PreviewedTree, Problem,
    ProblemCode, Proxy, ProxyView, Rank, Replayed, RetentionPreview, RetentionRule, Role, RootPage,
    Secret, Session, Standing, State, StateSet, Statistics, Subtree, Target, TargetView, Tested,
    TestedChannel, Timestamp, Token, Trigger, UnknownState, Updated, Waited, limits,
    live::{
        BlockerSummary, EventKind, Gap, GapReason, JobSummary, LiveEvent, Occurrence, Position,
        SummaryDefinition,
    },
    rollup::Status,
    schedule,
    upload::{
        BlockedChange, InvalidUploadId, MEDIA_TYPE, Refusal, TreeResult, UploadId, UploadOutcome,
    },
};
pub use jobtracker_model::{
    AttemptFailure, CancelledTree, ClaimTasks, ClaimedTask, FollowedRun, HandlerQueue, HandlerView,
    Heartbeat, HeldTask, NewTask, NewWorker, OnNoWorker, Orders, PerWorker, QueueCounts,
    QueueLength, QueueState, QueuedTask, Retry, Routing, Shard, TaskChildren, TaskLog,
    TaskPhaseName, TaskReport, TaskReportState, TaskReported, TaskView, Timeouts, WorkerFilter,
    WorkerHandler, WorkerLoad, WorkerRegistered, WorkerState, WorkerView, check_handler,
};
/// The HTTP library, for [`ClientBuilder::http_client`] and [`Error::Transport`].
pub use reqwest;
