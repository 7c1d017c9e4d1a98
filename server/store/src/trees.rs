use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jobtracker_model::{JobId, Timestamp};

use crate::{
    After, FollowUpKey, Listed, Loaded, PageLimit, Result, Row, StageId, Tombstone, TreeCommit,
    Version, Wanted,
};

/// The trees as their writers need them: what a group of operations loads, commits, stages, all
/// rows of a tree, and what is kept of deleted ones.
///
/// **Staged**: rows of a tree that is too large for one commit are staged call by call, as a
/// *stage*. No method of a store shows them until a commit of that tree publishes the stage; then
/// all of them are visible at one instant, with the rows of that commit. The ids of jobs in a stage
/// are taken: they are not given out, and a commit that creates one of them is refused as stale. A
/// stage that was not published when the process ends is not visible after the next start either,
/// and is removed in the background.
#[async_trait]
pub trait Trees: Send + Sync + 'static {
    /// Loads what a group of operations needs.
    async fn load(&self, wanted: Wanted) -> Result<Loaded>;

    /// The same for callers other than the engine. Where reads have a bounded queue, the call waits
    /// in that queue, and is refused as [unavailable](crate::Error::Unavailable) when it is full.
    async fn look_up(&self, wanted: Wanted) -> Result<Loaded> {
        self.load(wanted).await
    }

    /// Commits trees, each on its own: one may be refused and another done. The answers are in the
    /// order of the commits. A tree appears once in a call.
    ///
    /// A commit that [publishes](TreeCommit::publishes) a stage and is refused as stale leaves it
    /// as it is: another one may publish it. It is refused as
    /// [unavailable](crate::Error::Unavailable) when the stage is not there, is not of this tree,
    /// or is not whole because one of its calls failed or is not answered yet.
    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>>;

    /// The same, with each answer as soon as it is known, beside the position of its commit in the
    /// call. When the stream is dropped, commits that it has not answered may or may not be done.
    fn commit_each(
        self: Arc<Self>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (usize, Result<()>)> {
        let all = async move { stream::iter(self.commit(commits).await).enumerate() };
        stream::once(all).flatten().boxed()
    }

    /// The version of a tree, and its commits behind another version: all of them in order, or
    /// none if the store has not kept them. By this a server learns what the others have committed.
    async fn commits_after(
        &self,
        root: JobId,
        version: Version,
    ) -> Result<(Version, Vec<TreeCommit>)> {
        let _ = version;
        let wanted = Wanted { paths: HashSet::from([root]), ..Wanted::default() };
        let loaded = self.look_up(wanted).await?;
        Ok((loaded.versions.get(&root).copied().unwrap_or(0), Vec::new()))
    }

    /// Everything that a tree consists of, as the rows by which it could be created elsewhere:
    /// [staged](Self::stage) and published, or in one commit of a tree that is not there yet.
    ///
    /// Of each job in turn: [`Row::Job`], [`Row::Status`] as of a new job, and then, each in its
    /// own order, [`Row::Change`] but for the creation, [`Row::LogLine`], [`Row::Attachment`],
    /// [`Row::Repeat`] and [`Row::FollowUp`]. A page shows one instant, and two pages may show two;
    /// the tree's version tells whether it has changed in between.
    ///
    /// A page has whole jobs, so beyond its limit it may hold one job with all that it may have:
    /// the changes, lines, attachments and follow-ups that the [limits](jobtracker_model::limits)
    /// allow.
    ///
    /// # Errors
    /// [`Error::UnknownJob`](crate::Error::UnknownJob): there is no such root.
    /// [`Error::BadCursor`](crate::Error::BadCursor): it is to go on behind a job of another tree.
    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>>;

    /// Holds the present, so that all pages of a large tree can be read as of one instant, although
    /// others commit meanwhile. `None`: this store cannot.
    ///
    /// As long as it is held, rows that are replaced meanwhile keep their room, in memory too.
    async fn hold(&self) -> Result<Option<Arc<dyn Held>>> {
        Ok(None)
    }

    /// Follow-ups of a tree that are still to be done, one for each job that has some, in the order
    /// of [`list_rows`](Self::list_rows), with the same errors. A page counts jobs in `scan`, and
    /// may be empty and still go on.
    async fn list_waiting(&self, query: RowsQuery) -> Result<Listed<(JobId, FollowUpKey), JobId>>;

    /// Stages rows of new jobs. More calls add more.
    ///
    /// A job comes with its [`Row::Job`], in this call or one that was answered before, and none of
    /// its rows may exist already. A [`Row::FollowUp`] with an [entry](Row::entry) in an
    /// index belongs into the commit that publishes the stage: before that no reader may find it.
    /// While its id is still held by a stage that was discarded, the call waits. The rows are
    /// durable at the latest when the commit that publishes them is.
    ///
    /// # Errors
    /// [`Error::NotStaged`](crate::Error::NotStaged): a row has an entry in an index. Nothing
    /// was done, and the stage is as it was.
    ///
    /// [`Error::Stale`](crate::Error::Stale): one of the jobs exists already, visible or staged, or
    /// a row belongs to a job that is not in the stage. After this and any other error but the
    /// first, the stage can only be discarded.
    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()>;

    /// Removes the staged rows in the background; the ids are free again when that is done. Does
    /// nothing when the stage has been published or is not known.
    fn discard(&self, stage: StageId);

    /// What is kept of a tree that was [deleted](Row::Deleted); `None` when it was not, or when
    /// that was [forgotten](Self::forget_tombstones).
    async fn get_tombstone(&self, root: JobId) -> Result<Option<Tombstone>>;

    /// Forgets deleted trees whose tombstones are kept [until](Tombstone::until) a time before
    /// `now`, at most `limit` of them, and answers how many; fewer than the limit: there are no
    /// more. A tree of which something is left to remove stays. Afterwards a caller that chooses
    /// the id may create a tree under it again; the store does not give the id out.
    ///
    /// The default is for stores that forget them by themselves.
    async fn forget_tombstones(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let _ = (now, limit);
        Ok(0)
    }

    /// How many deleted trees have rows that are still to be removed by this server.
    fn removals(&self) -> usize;

    /// Whether an id is held by a stage that was discarded and is being removed: it will be free
    /// soon, and until then a commit that creates the job is refused as stale.
    fn is_leaving(&self, id: JobId) -> bool {
        let _ = id;
        false
    }
}

/// One instant of a store that is [held](Trees::hold).
#[async_trait]
pub trait Held: Send + Sync + 'static {
    /// As [`Trees::list_rows`], as of this instant.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable), too, for good when the store has been
    /// opened again meanwhile.
    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>>;
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
