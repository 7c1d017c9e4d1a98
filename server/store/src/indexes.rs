use async_trait::async_trait;
use jobtracker_model::{JobId, Timestamp};

use crate::{FollowUp, IndexId, IndexKey, Listed, PageLimit, Result};

/// Entries of follow-ups of all trees by time, from which their rows are found.
#[async_trait]
pub trait Indexes: Send + Sync + 'static {
    /// Follow-ups by time, in the order of their keys. A page that is empty may still go on. Each
    /// follow-up is shown as it is when the page is made; one that moves while pages are read may
    /// come twice or not at all, and one that does not move comes once.
    async fn list_index(&self, query: IndexQuery)
    -> Result<Listed<(IndexKey, FollowUp), IndexKey>>;

    /// The number of parts of each index, which several servers can share. All follow-ups of
    /// a tree are in one part.
    fn index_parts(&self) -> u32 {
        1
    }

    /// The part that has the follow-ups of a tree.
    fn index_part(&self, root: JobId) -> u32 {
        let _ = root;
        0
    }
}

/// Follow-ups of all jobs by time, oldest first.
#[derive(Debug, Clone)]
pub struct IndexQuery {
    /// The index.
    pub index: IndexId,
    /// The part of it; the store tells [how many](Indexes::index_parts) there are.
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
