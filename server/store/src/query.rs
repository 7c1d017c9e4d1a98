use jobtracker_model::{JobId, StateSet, Timestamp, limits, upload::UploadId};

use crate::{FollowUpKey, IndexId, IndexKey, RootKey};

/// How much one page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Items; at least 1.
    pub items: usize,
    /// The page ends after the item that passes this size in bytes.
    pub bytes: usize,
    /// The page ends after this many rows were read, matching or not.
    pub scan: usize,
}

impl PageLimit {
    /// Pages of up to `items`, with the usual bounds for the rest.
    #[must_use]
    pub fn items(items: usize) -> Self {
        Self { items: items.clamp(1, limits::PAGE), bytes: limits::PAGE_BYTES, scan: limits::SCAN }
    }
}

/// Some items of a list, and where the list goes on: give `next` as `after` to continue. Without
/// `next` the list has ended. A page with a filter may have no item and still go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T, K> {
    /// The items.
    pub items: Vec<T>,
    /// The key of the last row that was read, if there may be more behind it.
    pub next: Option<K>,
}

/// Where a list of jobs goes on: behind this job.
pub type After = Option<JobId>;

/// Direct children, by id.
#[derive(Debug, Clone)]
pub struct ChildrenQuery {
    /// The parent.
    pub parent: JobId,
    /// Only children in these visible states; empty: all.
    pub states: StateSet,
    /// Behind this child, which need not exist any more.
    pub after: After,
    /// The size of the page.
    pub limit: PageLimit,
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

/// Root jobs, newest first.
#[derive(Debug, Clone)]
pub struct RootsQuery {
    /// Created at this time or later.
    pub from: Timestamp,
    /// Created before this time.
    pub to: Timestamp,
    /// Behind (older than) this root.
    pub after: Option<RootKey>,
    /// The size of the page.
    pub limit: PageLimit,
}

/// All rows of a tree, job by job: the root first, then the descendants in their order.
#[derive(Debug, Clone)]
pub struct RowsQuery {
    /// The root of the tree.
    pub root: JobId,
    /// Behind this job of the tree.
    pub after: After,
    /// The size of the page, with rows as items; a page has whole jobs only, so it ends after the
    /// job that reaches the limit. `scan` counts jobs.
    pub limit: PageLimit,
}

/// Results on the trees of an upload, by root.
#[derive(Debug, Clone)]
pub struct TreeResultsQuery {
    /// The upload.
    pub upload: UploadId,
    /// Behind this root.
    pub after: After,
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

/// Follow-ups of all jobs by time, oldest first.
#[derive(Debug, Clone)]
pub struct IndexQuery {
    /// The list.
    pub index: IndexId,
    /// The part of it; the store tells [how many](crate::Store::index_parts) there are.
    pub part: u32,
    /// From this time on.
    pub from: Timestamp,
    /// Up to and including this time.
    pub until: Timestamp,
    /// Behind this entry, which need not exist any more.
    pub after: Option<IndexKey>,
    /// The size of the page.
    pub limit: PageLimit,
}
