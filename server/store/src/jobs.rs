use async_trait::async_trait;
use jobtracker_model::{
    AttachmentInfo, Change, JobId, LogLine, State, StateSet, Timestamp, limits,
};

use crate::{
    After, BlockerRow, FollowUp, FollowUpKey, JobRow, Listed, Order, PageLimit, Result, RootKey,
    Version,
};

/// Single jobs and lists of them, as callers are shown them.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// One job.
    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>>;

    /// Visible states, in the order of the ids; `WaitingForActivation` for unknown ones.
    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>>;

    /// A job's ancestors, its parent first and the root last.
    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>>;

    /// A job's ancestors, and where the job and they stand among their siblings, at one instant.
    async fn get_places(&self, id: JobId) -> Result<JobPlaces>;

    /// Direct children.
    async fn list_children(&self, query: ChildrenQuery) -> Result<ChildPage>;

    /// Descendants.
    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>>;

    /// What a job waits for, or why it failed.
    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<BlockerRow, JobId>>;

    /// A part of a tree that stands for the whole, at one instant: the job at the top, then level
    /// by level the children that tell most (failed ones, then unfinished ones, then the others,
    /// each by id).
    async fn get_shape(&self, query: ShapeQuery) -> Result<Vec<JobRow>>;

    /// A job and, by id, children that stand for all, at one instant: all of them where there are
    /// no more than asked for, else the first failed ones and an even sample.
    async fn sample_children(&self, query: SampleQuery) -> Result<Vec<JobRow>>;

    /// Own changes; `next` is the number of the last one.
    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>>;

    /// Lines of the log; `next` is the number of the last one.
    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>>;

    /// Attachments without their texts, by key.
    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>>;

    /// The text of an attachment.
    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>>;

    /// Follow-ups of one kind of a job; `next` is the last one.
    ///
    /// # Errors
    /// [`Error::UnknownJob`](crate::Error::UnknownJob): there is no such job.
    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>>;

    /// Root jobs.
    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>>;
}

/// Direct children.
#[derive(Debug, Clone)]
pub struct ChildrenQuery {
    /// The parent.
    pub parent: JobId,
    /// Only children in these visible states; empty: all.
    pub states: StateSet,
    /// From the smallest id on, or from the largest.
    pub order: Order,
    /// Behind this child, which need not exist.
    pub after: After,
    /// Children in these states that are passed over first. Without states and `after`, any number
    /// costs the same, but for the first time: then the children are counted once. Else those that
    /// are passed over are read, and are among the rows that the limit allows to read.
    pub skip: u64,
    /// The size of the page.
    pub limit: PageLimit,
}

impl ChildrenQuery {
    /// The first page of all children, oldest first.
    #[must_use]
    pub fn of(parent: JobId) -> Self {
        let limit = PageLimit::items(limits::PAGE);
        let (states, order, after, skip) = Default::default();
        Self { parent, states, order, after, skip, limit }
    }
}

/// A page of children, with the numbers of their parent at that instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildPage {
    /// The children.
    pub items: Vec<JobRow>,
    /// The last child that was read, if there may be more behind it.
    pub next: Option<JobId>,
    /// How many were passed over: fewer than asked for where there are no more, or where the limit
    /// of rows to read came before, and the page is empty and goes on.
    pub skipped: u64,
    /// How many children are in the states that were asked for, where that is known without reading
    /// them.
    pub total: Option<u64>,
    /// The version of the tree.
    pub version: Version,
}

/// Where a job stands among its siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The job.
    pub id: JobId,
    /// How many siblings have a smaller id.
    pub number: u64,
    /// How many children its parent has, itself among them.
    pub siblings: u64,
}

/// The way to a job from its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlaces {
    /// The job's ancestors, its parent first and the root last.
    pub ancestors: Vec<JobRow>,
    /// The places of the job and of its ancestors in this order; a root has none.
    pub places: Vec<Place>,
    /// The version of the tree.
    pub version: Version,
}

/// Descendants, each before its own children, siblings by id.
#[derive(Debug, Clone)]
pub struct DescendantsQuery {
    /// The job at the top, itself not listed.
    pub of: JobId,
    /// Only descendants in these visible states; empty: all.
    pub states: StateSet,
    /// Behind this descendant, in that order.
    pub after: After,
    /// The size of the page.
    pub limit: PageLimit,
}

/// For a job that is not finished: the deepest unfinished descendants that it waits for (those with
/// no unfinished child); a job that waits only for its own report has none. For a faulted job: the
/// jobs that failed by themselves, the job itself and those below it, each with the change that
/// says why. In the order of descendants.
#[derive(Debug, Clone)]
pub struct BlockersQuery {
    /// The job at the top.
    pub of: JobId,
    /// Behind this descendant.
    pub after: After,
    /// The size of the page.
    pub limit: PageLimit,
}

/// The part of a tree that stands for the whole.
#[derive(Debug, Clone, Copy)]
pub struct ShapeQuery {
    /// The job at the top.
    pub of: JobId,
    /// Levels below it.
    pub depth: u32,
    /// Most jobs, with the one at the top.
    pub jobs: usize,
}

/// Children that stand for all.
#[derive(Debug, Clone, Copy)]
pub struct SampleQuery {
    /// The parent.
    pub parent: JobId,
    /// Most children.
    pub jobs: usize,
    /// How many of them may be there only because they failed.
    pub failed: usize,
}

/// Own changes of a job, oldest first.
#[derive(Debug, Clone)]
pub struct ChangesQuery {
    /// The job.
    pub id: JobId,
    /// From this number; the creation is 0.
    pub from: u32,
    /// The size of the page.
    pub limit: PageLimit,
}

/// Lines of a job's log, in order.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// The job.
    pub id: JobId,
    /// From this line on; `None`: the page ends with the last line.
    pub from: Option<u32>,
    /// The size of the page.
    pub limit: PageLimit,
}

/// Follow-ups of one kind of a job, by number.
#[derive(Debug, Clone)]
pub struct FollowUpsQuery {
    /// The job.
    pub id: JobId,
    /// From this one on, to the last one of its kind.
    pub from: FollowUpKey,
    /// The size of the page.
    pub limit: PageLimit,
}

/// Root jobs, by time of creation and id.
#[derive(Debug, Clone)]
pub struct RootsQuery {
    /// Created at this time or later.
    pub from: Timestamp,
    /// Created before this time.
    pub to: Timestamp,
    /// Newest or oldest first.
    pub order: Order,
    /// Behind this root, in that order.
    pub after: Option<RootKey>,
    /// The size of the page.
    pub limit: PageLimit,
}
