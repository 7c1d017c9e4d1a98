//! Lists of one tree, each made of a snapshot by the code that all stores share.

use std::sync::Arc;

use jobtracker_model::{AttachmentInfo, Blocker, Category, Change, JobId, LogLine, rollup::Status};
use tokio::{sync::Semaphore, task::JoinError};

use super::{
    snapshot::{PinnedTree, Snapshot, TRIES, moves_on},
    trees::Trees,
};
use crate::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Error, FollowUp, FollowUpKey,
    FollowUpsQuery, JobRow, Listed, LogQuery, PageLimit, Result, Row, RowsQuery, view,
};

/// Lists that are made at once; each has a thread that waits for its reads.
const LISTS: usize = 64;
/// Tries with the page size that was asked for. When the tree keeps changing, the page of each
/// further try is smaller by the factor `SMALLER`.
const LARGE_TRIES: usize = 3;
const SMALLER: usize = 4;

/// Makes lists of one tree.
pub struct Lists {
    trees: Arc<Trees>,
    room: Semaphore,
}

/// A question about a tree.
trait Query: Clone + Send + 'static {
    /// The job that it is asked of.
    fn subject(&self) -> JobId;
    /// The size of a page, if it has pages.
    fn limit(&mut self) -> Option<&mut PageLimit>;
}

/// A list without pages.
#[derive(Clone)]
struct All(JobId);

impl Query for All {
    fn subject(&self) -> JobId {
        self.0
    }

    fn limit(&mut self) -> Option<&mut PageLimit> {
        None
    }
}

macro_rules! queries {
    ($($query:ident of $job:ident),*) => {$(
        impl Query for $query {
            fn subject(&self) -> JobId {
                self.$job
            }

            fn limit(&mut self) -> Option<&mut PageLimit> {
                Some(&mut self.limit)
            }
        }
    )*};
}

queries!(
    ChildrenQuery of parent,
    DescendantsQuery of of,
    BlockersQuery of of,
    ChangesQuery of id,
    LogQuery of id,
    FollowUpsQuery of id,
    RowsQuery of root
);

impl Lists {
    pub fn new(trees: Arc<Trees>) -> Self {
        Self { trees, room: Semaphore::new(LISTS) }
    }

    /// Makes a list of a tree at one snapshot.
    async fn list<Q: Query, T: Send + 'static>(
        &self,
        query: Q,
        list: fn(Snapshot, &Q) -> Result<T>,
    ) -> Result<T> {
        let room = self.room.acquire().await;
        let _room = room.map_err(|_| Error::Unavailable("it was closed".into()))?;
        let subject = query.subject();
        let place = self.trees.find(&[subject]).await?.remove(&subject);
        let root = place.ok_or(Error::UnknownJob(subject))?.origin.root;
        let mut query = query;
        for again in 0..TRIES {
            let _held = if again > 0 { PinnedTree::hold(&self.trees, root).await } else { None };
            let pinned = PinnedTree::now(&self.trees, root).await?;
            let pinned = pinned.ok_or(Error::UnknownJob(subject))?;
            let (asked, runtime) = (query.clone(), self.trees.runtime().clone());
            let work = move || list(Snapshot::new(pinned, runtime), &asked);
            match self.trees.runtime().spawn_blocking(work).await.unwrap_or_else(not_done) {
                Err(Error::Stale { .. }) => {}
                done => return done,
            }
            if let Some(limit) = query.limit().filter(|_| again + 1 >= LARGE_TRIES) {
                let PageLimit { items, scan, .. } = *limit;
                limit.items = (items / SMALLER).max(1);
                limit.scan = (scan / SMALLER).max(1);
            }
        }
        Err(moves_on(root))
    }

    /// A job's ancestors, its parent first and the root last.
    pub async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        self.list(All(id), |tree, All(id)| view::list_ancestors(&tree, *id)).await
    }

    /// Direct children.
    pub async fn list_children(&self, query: ChildrenQuery) -> Result<Listed<JobRow, JobId>> {
        self.list(query, |tree, query| view::list_children(&tree, query)).await
    }

    /// Descendants.
    pub async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        self.list(query, |tree, query| {
            let states = query.states;
            let goes_below = move |status: &Status| match states.is_empty() {
                true => status.subtree.total > 0,
                false => status.subtree.at_most(states) > 0,
            };
            view::list_descendants(&tree.going_below(goes_below), query)
        })
        .await
    }

    /// What a job waits for, or why it failed.
    pub async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<Blocker, JobId>> {
        self.list(query, |tree, query| {
            let goes_below = |status: &Status| match status.category() {
                Some(Category::Pending) => status.children.pending > 0,
                Some(Category::Failed) => status.children.failed > 0,
                Some(Category::Successful) | None => false,
            };
            view::list_blockers(&tree.going_below(goes_below), query)
        })
        .await
    }

    /// Own changes.
    pub async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        self.list(query, |tree, query| view::list_changes(&tree, query)).await
    }

    /// Lines of the log.
    pub async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        self.list(query, |tree, query| view::list_log(&tree, query)).await
    }

    /// Follow-ups of one kind.
    pub async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        self.list(query, |tree, query| view::list_follow_ups(&tree, query)).await
    }

    /// Attachments without their texts.
    pub async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        self.list(All(id), |tree, All(id)| view::list_attachments(&tree, *id)).await
    }

    /// Everything that a tree consists of.
    pub async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.list(query, |tree, query| {
            let goes_below = |status: &Status| status.subtree.total > 0;
            view::list_rows(&tree.going_below(goes_below), query)
        })
        .await
    }
}

/// A list is made to its end, unless it panics or the runtime goes away.
fn not_done<T>(error: JoinError) -> Result<T> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Err(Error::Unavailable(format!("the list was not made: {error}"))),
    }
}
