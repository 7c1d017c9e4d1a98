//! An upload that comes in: the flush of a buffered context.
//!
//! Reading order: `begin` finds out whether an upload was sent before; a [`UploadSession`] takes
//! its records and coordinates the rest, its trees being `incoming`; `look_up` reads for it; an
//! `assembly` makes rows of one tree's records as they come, in memory for one path of open jobs;
//! `follow_ups` holds what follows from the states of these jobs; `existing` gathers the steps of
//! jobs that exist already; a [`TreeFlush`] is the result, one operation of the engine like any
//! other. A large tree's rows are staged in the store on the way (`stage`), where they are hidden,
//! and the operation's commit publishes them.

mod assembly;
mod begin;
mod existing;
mod follow_ups;
mod incoming;
mod look_up;
mod session;
mod stage;
mod tree;

pub use begin::Begun;
pub(crate) use begin::UploadsUnderWay;
pub use session::{UploadSession, Validate};
pub(crate) use stage::Stage;
pub(crate) use tree::{Step, TreeFlush, What};
