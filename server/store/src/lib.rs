//! The stores of job trees.
//!
//! Reading order: [`Origin`] and the other rows say what is stored, [`TreeCommit`] how it changes,
//! [`Store`] what a backend promises. Each backend gives a `view::View` of one instant, and `view`
//! makes the lists of it: [`memory`] and `fjall` have the rows at once, `scylla` waits for them.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod document;
mod error;
mod follow_up;
mod rows;

mod commit;
mod documents;
mod load;
mod query;
mod store;

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
    Cause, CheckProgress, CheckRow, DeliveryRow, FollowUp, FollowUpKey, IndexId, IndexKey, Watch,
    Watched,
};
pub use load::{Loaded, Wanted};
pub use query::{
    After, BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, FollowUpsQuery,
    IndexQuery, Listed, LogQuery, PageLimit, RootsQuery, RowsQuery, SampleQuery, ShapeQuery,
    TreeResultsQuery,
};
pub use rows::{JobRow, Node, Origin, RepeatRow, RootKey, StageId, TreeResultRow, UploadRow};
pub use store::Store;
