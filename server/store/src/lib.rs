//! The stores of job trees.
//!
//! Reading order: [`Origin`] and the other rows say what is stored, [`TreeCommit`] how it changes,
//! [`Store`] what a backend promises, in one trait for each family of tables. Each backend gives a
//! `view::View` of one instant, and `view` makes the lists of it: [`memory`] and `fjall` have the
//! rows at once, `scylla` waits for them.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod document;
mod error;
mod follow_up;
mod index;
mod rows;
mod task;
mod tombstone;

mod commit;
mod load;
mod page;

mod documents;
mod health;
mod indexes;
mod jobs;
mod servers;
mod store;
mod trees;
mod uploads;

mod view;

pub mod memory;

#[cfg(any(feature = "fjall", feature = "scylla"))]
mod coding;

#[cfg(feature = "fjall")]
pub mod fjall;

#[cfg(feature = "scylla")]
pub mod scylla;

pub use commit::{Row, TreeCommit, Version};
pub use document::{Document, DocumentId, DocumentKey, DocumentKind, DocumentVersion};
pub use documents::{DocumentChange, Documents, DocumentsQuery};
pub use error::{Error, Result};
pub use follow_up::{
    Cause, CheckProgress, CheckRow, DeliveryRow, FollowUp, FollowUpKey, Watch, Watched,
};
pub use health::Health;
pub use index::{IndexId, IndexKey};
pub use indexes::{IndexQuery, Indexes};
pub use jobs::{
    BlockersQuery, ChangesQuery, ChildPage, ChildrenQuery, DescendantsQuery, FollowUpsQuery,
    JobPlaces, Jobs, LogQuery, Place, RootsQuery, SampleQuery, ShapeQuery,
};
pub use jobtracker_model::Order;
pub use load::{Loaded, Wanted};
pub use page::{After, Listed, PageLimit};
pub use rows::{
    BlockerRow, JobRow, Node, Origin, RepeatRow, RootKey, StageId, TreeResultRow, UploadRow,
};
pub use servers::Servers;
pub use store::Store;
pub use task::{Assignment, CancelReason, Reported, TaskLease, TaskPhase, TaskRow};
pub use tombstone::{Summary, Tombstone};
pub use trees::{Held, RowsQuery, Trees};
pub use uploads::{TreeResultsQuery, Uploads};
