//! The language of job trees: what every other part of jobtracker says and means.
//!
//! Reading order: [`JobId`] and [`State`], what a creator says of a job ([`NewJob`]), what the
//! service answers ([`Job`]), and the rules that turn one into the other ([`rollup`]).
//!
//! This crate is pure: no I/O, no async, no clock, no randomness. Time comes in as a
//! [`Timestamp`]. The server's engine and the buffered context call the same functions.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod id;
mod state;
mod time;

pub mod limits;

mod problem;

mod access;

mod action;
mod change;
mod check;
mod definition;
mod delivery;
mod field;
mod fingerprint;
mod numbers;
pub mod rollup;
mod text;

mod failure;
mod job;
mod path;
mod wire;

mod export;
mod overview;
mod queue;
mod retention;
mod routing;
mod shape;

mod followed_run;
mod task;
mod task_report;
mod worker;
mod worker_socket;

pub mod live;
pub mod schedule;
pub mod upload;

#[cfg(feature = "testing")]
pub mod testing;

pub use access::{
    AuditEntry, Authentication, CreatedToken, NewSession, NewToken, Role, Session, Token,
    UnknownRole, is_reserved,
};
pub use action::{
    Action, ActionView, EmailAction, Host, HttpAction, HttpView, Payload, Proxy, ProxyView, Secret,
    Target, TargetView, Way, Ways,
};
pub use change::{Change, Expect, NewChange, Repeat, Report, Standing, Updated};
pub use check::{CheckKind, CheckView, NewCheck};
pub use definition::{Definition, Fingerprint, Fingerprints};
pub use delivery::{
    Added, Attempt, Channel, CheckStatus, Delivery, DeliveryId, DeliveryPage, DeliveryStatus,
    Event, InvalidDeliveryId, JobAction, JobCheck, Progress, ReplayFailed, Replayed, Tested,
    TestedChannel, Trigger,
};
pub use export::{EXPORT_MEDIA_TYPE, ExportCounts, ExportPosition, ExportRequest, ExportedRoot};
pub use failure::KeptFailure;
pub use field::{FieldError, check_name};
pub use followed_run::FollowedRun;
pub use id::{InvalidId, JobId};
pub use job::{CheckedJob, Created, Job, Mark, NewJob, Statistics};
pub use numbers::{Children, Subtree};
pub use overview::{FollowUpLoad, OperationLoad, Overview, RequestLoad, StoreLoad, ViewerLoad};
pub use path::PathStep;
pub use problem::{Problem, ProblemCode};
pub use queue::{
    HandlerQueue, QueueCounts, QueueLength, QueueState, QueuedTask, UnknownQueueState,
};
pub use retention::{
    DeletedTree, NamedRetentionRule, PreviewedTree, RetentionPreview, RetentionRule,
};
pub use routing::Routing;
pub use shape::{Rest, Shape, ShapeJob, Timeline};
pub use state::{Category, State, StateSet, UnknownState};
pub use task::{
    AttemptFailure, NewTask, OnNoWorker, PerWorker, Retry, Shard, Timeouts, WorkerFilter,
    check_handler,
};
pub use task_report::{
    CancelledTree, TaskPhaseName, TaskReport, TaskReportState, TaskReported, TaskView,
};
pub use text::shortened;
pub use time::{InvalidTimestamp, Timestamp};
pub use wire::{
    Ancestors, AttachmentInfo, Attachments, Blocker, ChildrenPage, CreatedChildren, Histogram,
    IdBlock, InvalidOrder, JobNode, JobPath, JobState, JobStates, LogAppended, LogLine,
    NewChildren, NewLogLines, NewOptions, Order, Page, Rank, ReserveIds, RootPage, StateQuery,
    Waited,
};
pub use worker::{
    ClaimTasks, ClaimedTask, ClaimedTasks, HandlerView, Heartbeat, HeldTask, KickWorker, NewWorker,
    Orders, TaskChildren, TaskLog, WorkerHandler, WorkerLoad, WorkerRegistered, WorkerState,
    WorkerView,
};
pub use worker_socket::{WorkerAnswer, WorkerCall, WorkerOp};
