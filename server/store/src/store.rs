use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jobtracker_model::{
    AttachmentInfo, Blocker, Change, JobId, LogLine, State, Timestamp, upload::UploadId,
};

use crate::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Documents, FollowUp, FollowUpKey,
    FollowUpsQuery, IndexKey, IndexQuery, JobRow, Listed, Loaded, LogQuery, Result, RootKey,
    RootsQuery, Row, RowsQuery, SampleQuery, ShapeQuery, StageId, TreeCommit, TreeResultRow,
    TreeResultsQuery, UploadRow, Version, Wanted,
};

/// A store of job trees.
///
/// **Atomic unit**: one [`TreeCommit`]. Every reader, in every method, sees it whole or not at all;
/// an answer with several rows of one tree shows them at one instant.
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
/// A dropped future may or may not have done its work; it is never done by half. (Staging rows is
/// the exception: a stage whose call was dropped can only be discarded.)
///
/// **Staged**: rows of a tree that is too large for one commit are staged call by call, as a
/// *stage*. No method shows them until a commit of that tree publishes the stage; then all of them
/// are visible at one instant, with the rows of that commit. The ids of jobs in a stage are taken:
/// they are not given out, and a commit that creates one of them is refused as stale. A stage that
/// was not published when the process ends is not visible after the next start either, and is
/// removed in the background.
///
/// A store of many machines (a CQL database, say) needs no conditional write per job for that. It
/// writes the rows plainly where they belong, each with the id of its stage, and where a job has to
/// be new, claims its id by a plain insert of a row of its own that names the stage, and reads it
/// back. The publishing commit is the one conditional write that every commit of a tree is, on the
/// version in the tree's partition, and sets a mark for the stage in the same partition. A reader
/// that meets a row with the id of a stage asks for that mark (and may remember it: it never goes
/// away) and skips the row if there is none. Discarded stages are found by a list of open stages
/// with the time of their last call, and removed with the ids they claimed.
#[async_trait]
pub trait Store: Documents {
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

    /// Stages rows of new jobs. More calls add more.
    ///
    /// A job comes with its [`Row::Job`], in this call or one that was answered before, and none of
    /// its rows may exist already. A [`Row::FollowUp`] with an [entry](Row::place) in a list by
    /// time belongs into the commit that publishes the stage: before that no reader may find it.
    /// While its id is still held by a stage that was discarded, the call waits. The rows are
    /// durable at the latest when the commit that publishes them is.
    ///
    /// # Errors
    /// [`Error::NotStaged`](crate::Error::NotStaged): a row has an entry in a list by time. Nothing
    /// was done, and the stage is as it was.
    ///
    /// [`Error::Stale`](crate::Error::Stale): one of the jobs exists already, visible or staged, or
    /// a row belongs to a job that is not in the stage. After this and any other error but the
    /// first, the stage can only be discarded.
    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()>;

    /// Removes the staged rows in the background; the ids are free again when that is done. Does
    /// nothing when the stage has been published or is not known.
    fn discard(&self, stage: StageId);

    /// Whether an id is held by a stage that was discarded and is being removed: it will be free
    /// soon, and until then a commit that creates the job is refused as stale.
    fn is_leaving(&self, id: JobId) -> bool {
        let _ = id;
        false
    }

    /// Writes the results of the refused trees of an upload, then that each of its trees has a
    /// result. A tree that was applied keeps that result. Durable, and may be repeated; after an
    /// error some of it may be there, but not the completion.
    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()>;

    /// Forgets uploads that were sent before that time: results and completions of up to `limit`
    /// sendings, oldest first. Answers how many; an upload that was sent twice counts twice.
    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Gives out `count` consecutive ids, larger than any given before, never given twice, and none
    /// of which names a job yet. Answers the first.
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

    /// Root jobs.
    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>>;

    /// Follow-ups of one kind of a job; `next` is the last one.
    ///
    /// # Errors
    /// [`Error::UnknownJob`](crate::Error::UnknownJob): there is no such job.
    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>>;

    /// Follow-ups by time, in the order of their keys. A page that is empty may still go on. Each
    /// follow-up is shown as it is when the page is made; one that moves while pages are read may
    /// come twice or not at all, and one that does not move comes once.
    async fn list_index(&self, query: IndexQuery)
    -> Result<Listed<(IndexKey, FollowUp), IndexKey>>;

    /// The number of parts of the lists by time, which several servers can share. All follow-ups of
    /// a tree are in one part.
    fn index_parts(&self) -> u32 {
        1
    }

    /// The part that has the follow-ups of a tree.
    fn index_part(&self, root: JobId) -> u32 {
        let _ = root;
        0
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

    /// An upload, if it is complete.
    async fn get_upload(&self, commit: &UploadId) -> Result<Option<UploadRow>>;

    /// Results on the trees of an upload, applied and refused.
    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>>;

    /// Whether other servers may commit to the same trees, so that what this server knows may be
    /// old.
    fn is_shared(&self) -> bool {
        false
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

    /// How far the clocks of its servers may differ from the right time.
    fn max_clock_skew(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether this server may run the background part of that name for this time; asking again in
    /// time keeps the lease. Of several servers on one store one may, and another when it has gone.
    /// A lease saves work and promises nothing: two servers may believe that they have it.
    async fn lease(&self, part: &str, time: Duration) -> Result<bool> {
        let _ = (part, time);
        Ok(true)
    }

    /// The note of when one of the servers was up, if there is one.
    async fn get_uptime(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Replaces that note. It may be lost with the machine; a store that ends with its process need
    /// not keep it.
    async fn put_uptime(&self, note: Vec<u8>) -> Result<()> {
        let _ = note;
        Ok(())
    }

    /// Whether the store takes commits now.
    async fn check(&self) -> Result<()>;

    /// Whether a store that takes no commits may do so again without a new process. Answers at
    /// once.
    fn is_alive(&self) -> bool {
        true
    }

    /// Numbers for the metrics page: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// Stops taking work and releases what it holds; later calls answer
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    async fn close(&self);
}
