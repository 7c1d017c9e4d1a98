//! An upload that comes in: what a buffered context sends.
//!
//! Reading order: `begin` finds out whether an upload was sent before; a [`UploadSession`] takes
//! its records and coordinates the rest; an
//! `assembly` makes rows of one tree's records as they come, in memory for one path of open jobs;
//! `follow_ups` holds what follows from the states of these jobs; `existing` gathers the steps of
//! jobs that exist already; a [`UploadTree`] is the result, one operation of the engine like any
//! other. A large tree's rows are staged in the store on the way (`stage`), where they are hidden,
//! and the operation's commit publishes them.

mod assembly;
mod begin;
mod existing;
mod follow_ups;
mod receiving;
mod session;
mod stage;
mod tree;

pub use begin::Begun;
pub use follow_ups::Validate;
pub(crate) use receiving::UploadsUnderWay;
pub use session::UploadSession;
pub(crate) use stage::Stage;
pub(crate) use tree::{Step, UploadTree, What};
