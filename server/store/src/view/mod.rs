//! Lists made of a consistent view of the rows, shared by the backends that can give one.

mod ancestors;
mod blockers;
mod children;
mod descendants;
mod follow_ups;
mod history;
mod level;
mod load;
pub(crate) mod page;
mod roots;
mod rows;
mod tree_results;

pub use ancestors::list_ancestors;
pub use blockers::list_blockers;
pub use children::list_children;
pub use descendants::list_descendants;
pub use follow_ups::{list_follow_ups, list_index};
pub use history::{list_attachments, list_changes, list_log};
pub use load::{get_job, get_states, load};
pub use roots::list_roots;
pub use rows::list_rows;
pub use tree_results::list_tree_results;

use std::{ops::ControlFlow, sync::Arc};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};

use crate::{
    FollowUp, FollowUpKey, IndexId, IndexKey, Node, Origin, RepeatRow, Result, RootKey,
    TreeResultRow, UploadRow, Version,
};

/// A visitor's answer after each row: go on or stop.
pub type Visit<'a, T> = &'a mut dyn FnMut(T) -> ControlFlow<()>;

/// A child as its parent's list has it.
#[derive(Debug, Clone)]
pub struct Child {
    /// The child.
    pub id: JobId,
    /// What its creator said.
    pub definition: Arc<Definition>,
    /// Everything that changes.
    pub status: Status,
}

/// Children that are found without reading their siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildIndex {
    /// Not finished.
    Pending,
    /// Faulted.
    Failed,
}

/// The rows of a store at one instant. Synchronous: it runs where blocking is allowed.
///
/// Staged rows are in none of the answers.
pub trait View {
    /// The version of a tree; 0 when it is not there.
    fn version(&self, root: JobId) -> Result<Version>;
    /// A job's position in its tree.
    fn origin(&self, id: JobId) -> Result<Option<Origin>>;
    /// The status of a job with this parent.
    fn status(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Status>>;
    /// The definition of a job with this parent.
    fn definition(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Arc<Definition>>>;
    /// Children by id, behind `after`.
    fn children(&self, parent: JobId, after: Option<JobId>, visit: Visit<Child>) -> Result<()>;
    /// The ids of some children by id, behind `after`.
    fn indexed(
        &self,
        parent: JobId,
        index: ChildIndex,
        after: Option<JobId>,
        visit: Visit<JobId>,
    ) -> Result<()>;
    /// Own changes from a number on. The creation (number 0) is not among the rows.
    fn changes(&self, id: JobId, from: u32, visit: Visit<(u32, Change)>) -> Result<()>;
    /// Lines of the log from a number on.
    fn log(&self, id: JobId, from: u32, visit: Visit<LogLine>) -> Result<()>;
    /// The result of a repeatable append.
    fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>>;
    /// The results of repeatable appends, by name: those of changes, then those of lines.
    fn repeats(&self, id: JobId, visit: Visit<(Repeat, RepeatRow)>) -> Result<()>;
    /// The text of an attachment.
    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>>;
    /// Keys and sizes of the attachments, by key.
    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()>;
    /// Roots created in `from..to`, newest first (by time, then by id, both falling), behind
    /// `after`.
    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<RootKey>,
        visit: Visit<RootKey>,
    ) -> Result<()>;

    /// A follow-up of a job.
    fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>>;
    /// Follow-ups of a job from one on, through all kinds that come later.
    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()>;
    /// Entries of a list by time, from one on.
    fn index(&self, index: IndexId, from: IndexKey, visit: Visit<IndexKey>) -> Result<()>;

    /// The result of a tree of an upload.
    fn tree_result(&self, commit: &UploadId, root: JobId) -> Result<Option<TreeResultRow>>;
    /// The results on its trees by root, behind `after`.
    fn tree_results(
        &self,
        commit: &UploadId,
        after: Option<JobId>,
        visit: Visit<TreeResultRow>,
    ) -> Result<()>;
    /// An upload that is complete.
    fn completed(&self, commit: &UploadId) -> Result<Option<UploadRow>>;

    /// What the roll-up needs of a job.
    fn node(&self, id: JobId) -> Result<Option<Node>> {
        let Some(origin) = self.origin(id)? else { return Ok(None) };
        let status = self.status(id, origin.parent)?;
        Ok(status.map(|status| Node { origin, status }))
    }
}
