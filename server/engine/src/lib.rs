//! The tree engine: takes operations, applies them to the rows of their trees, commits them in
//! groups, and answers when they are durable.
//!
//! Reading order: [`Engine`] is the handle (a queue within `bounds`), `commit` takes what waits and
//! makes one durable commit of it (a `group` in flight; operations whose tree is in one wait in
//! `queue`), `apply` is pure and knows the rules through the model, and the `feed` tells those who
//! listen of what was committed; a `wait` for a state is one of them. On a store that other servers
//! share, `fairness` and `backoff` give each server its turn with a tree.
//! An upload of a buffered context comes in through an [`UploadSession`] (`upload`), which makes
//! one operation of each of its trees.
//! Nothing here knows HTTP or a database driver.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod deletion;
mod error;
mod operation;
mod options;

mod bounds;

mod handle;

mod commit;
mod feed;
mod follow_up;
mod group;
mod ids;
mod task;
mod workspace;

mod queue;
mod root_cache;

mod backoff;
mod fairness;

mod apply;

mod upload;

mod metrics;
mod outages;
mod wait;

pub use deletion::Deletion;
pub use error::{Error, Result};
pub use feed::{Committed, FeedEvent, Listener, MoveReason, SOON, Scope};
pub use handle::Engine;
pub use metrics::Load;
pub use operation::{Claim, Holder, TaskChanged, Tried};
pub use options::Options;
pub use outages::Outages;
pub use upload::{Begun, UploadSession, Validate};
