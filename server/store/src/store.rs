use async_trait::async_trait;
use jobtracker_model::{AttachmentInfo, Blocker, Change, JobId, LogLine, State};

use crate::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, JobRow, Listed, Loaded, LogQuery,
    Result, RootKey, RootsQuery, TreeCommit, Wanted,
};

/// A place where job trees are kept.
///
/// **Atomic unit**: one [`TreeCommit`]. It is seen whole or not at all, by every reader, in every
/// method; an answer with several rows of one tree shows them at one instant.
///
/// **Durable before the reply**: when [`commit`](Self::commit) or
/// [`reserve_ids`](Self::reserve_ids) answers `Ok`, what it did survives the end of the process and
/// of the machine (a backend that keeps nothing says so in its own words).
///
/// **Read your writes**: a read that begins after a commit was answered sees it.
///
/// **Time-outs**: [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) is the only error after
/// which a commit may have been done; sending the same commit again is then refused as stale or
/// done once, never twice.
///
/// A dropped future may or may not have done its work; it is never done by half.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Loads what a group of operations needs.
    async fn load(&self, wanted: Wanted) -> Result<Loaded>;

    /// Commits trees, each on its own: one may be refused and another done. The answers are in the
    /// order of the commits. A tree appears once in a call.
    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>>;

    /// Gives out `count` ids that follow each other, larger than any given before, never given
    /// twice, and none of which names a job yet. Answers the first.
    async fn reserve_ids(&self, count: u32) -> Result<JobId>;

    /// One job.
    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>>;

    /// Visible states, in the order of the ids; `WaitingForActivation` for unknown ones.
    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>>;

    /// A job's ancestors, its parent first and the root last.
    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>>;

    /// Direct children.
    async fn list_children(&self, query: ChildrenQuery) -> Result<Listed<JobRow, JobId>>;

    /// Descendants.
    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>>;

    /// What a job waits for, or why it failed.
    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<Blocker, JobId>>;

    /// Own changes; `next` is the number of the last one.
    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>>;

    /// Lines of the log; `next` is the number of the last one.
    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>>;

    /// Attachments without their texts, by key.
    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>>;

    /// The text of an attachment.
    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>>;

    /// Root jobs.
    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>>;

    /// Whether the store takes commits now.
    async fn check(&self) -> Result<()>;

    /// Numbers for the metrics page: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// Stops taking work and releases what it holds; later calls answer
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    async fn close(&self);
}
