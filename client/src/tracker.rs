use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jobtracker_model::{
    AttachmentInfo, Blocker, Change, Created, IdBlock, Job, JobId, JobNode, JobState, LogAppended,
    LogLine, NewChange, NewJob, NewLogLines, Page, RootPage, State, StateSet, Statistics, Updated,
    Waited,
    upload::{TreeResult, UploadId, UploadOutcome},
};

use crate::{
    ItemStream, ListJobs, ListPage, LogQuery, LogText, Result, RootsQuery, UploadSource, stream,
    wait,
};

/// All calls to a service that keeps trees of jobs.
///
/// [`JobTrackerClient`](crate::JobTrackerClient) implements it over HTTP. A service that takes an
/// `Arc<dyn JobTracker>` can be given something else, in its tests for instance. The methods with
/// a body here stand on the others, so a substitute need not write them.
///
/// # What holds for every method
/// - **Durable**: when a write answers `Ok`, it is on the service's disk and visible to every
///   read that begins from then on, with all that follows from it up to the root.
/// - **Safe to repeat**: the client repeats a request whose answer was lost or whose time had not
///   come, as its [`RetryPolicy`](crate::RetryPolicy) says. Writes carry ids for it, so each is
///   applied once. A caller who wants to repeat a *call* must choose those ids: the client
///   makes new ones for every call.
/// - **Dropped**: a future that is dropped stops waiting. A write that was on its way is then
///   carried out as a whole or not at all.
/// - **Errors**: see [`Error`](crate::Error). Limits are checked by the service, and named in the
///   problem's detail; they stand in [`limits`](crate::limits).
#[async_trait]
pub trait JobTracker: Send + Sync {
    /// Reserves ids that no other caller will get, for jobs that are named before they are created.
    ///
    /// `count` is from 1 to 1,000,000. Reserved is durable; a repeated request leaves a gap,
    /// which does no harm. [`create`](Self::create) reserves by itself.
    async fn reserve_ids(&self, count: u32) -> Result<IdBlock>;

    /// Creates a job: a root, or a child of `job.parent`.
    ///
    /// A job without an id gets one from a block that the client has reserved, so a creation is
    /// one request and, within this call, safe to repeat. With an id of the caller's the whole
    /// call is: the same job again answers `created: false`. That answer also comes when this
    /// call's own first try had created the job and its reply was lost.
    ///
    /// # Errors
    /// `id_conflict` if the id is taken by another definition or parent, `parent_not_found`,
    /// `parent_is_self`, `too_deep` below depth 64, `invalid_field`;
    /// [`Error::NoIds`](crate::Error::NoIds) if no id could be had.
    async fn create(&self, job: NewJob) -> Result<Created>;

    /// Creates up to 10,000 children of one parent, all or none, and answers in their order.
    ///
    /// As with [`create`](Self::create), jobs without ids get some, and the call is safe to
    /// repeat if all had ids. Each job's `parent` may be left out.
    ///
    /// # Errors
    /// Those of [`create`](Self::create), and `duplicate_id`. Nothing was created then.
    async fn create_children(&self, parent: JobId, jobs: Vec<NewJob>) -> Result<Vec<Created>>;

    /// A job as it is now.
    ///
    /// # Errors
    /// `job_not_found`; see [`get`](Self::get) for a job that may not be there.
    async fn load(&self, id: JobId) -> Result<Job>;

    /// A job as it is now, if it is there.
    async fn get(&self, id: JobId) -> Result<Option<Job>> {
        match self.load(id).await {
            Err(error) if error.is_not_found() => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// The visible state of a job.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn state(&self, id: JobId) -> Result<State>;

    /// The visible states of 1 to 1,000 jobs, in the order of the ids. A job that is not there is
    /// WaitingForActivation.
    async fn states(&self, ids: Vec<JobId>) -> Result<Vec<JobState>>;

    /// Reports a state of a job.
    ///
    /// A message or a reason code that is too long is [shortened](NewChange::shortened): its
    /// beginning and its end are kept. A change without a change id gets one, so that it is applied
    /// once however often this call has to send it; with one of the caller's the whole call is safe
    /// to repeat. `repeated` says that it had been applied before, perhaps by this call's own first
    /// try. A finished job answers `applied: false` and stays as it is, unless the service is set
    /// up otherwise.
    ///
    /// A change may say what the job has to be ([`NewChange::expect_changes`],
    /// [`NewChange::expect_last`]). A report that a call has given up may be on its way still; with
    /// an expectation it changes nothing if it arrives after something else.
    ///
    /// # Errors
    /// `job_not_found`, `state_not_allowed` for WaitingForActivation, `unexpected_state` with
    /// [what stands](crate::Error::stands), `repeat_conflict` if the change id was used for
    /// another change, `too_many_changes`, `invalid_field`.
    async fn update(&self, id: JobId, change: NewChange) -> Result<Updated>;

    /// Replaces the options of a job, up to 64 KiB, or takes them away. Of two callers at once
    /// the last to arrive wins; safe to repeat otherwise.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`.
    async fn update_options(&self, id: JobId, options: Option<String>) -> Result<Job>;

    /// When the work in the tree below a job began and ended, and its numbers.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn statistics(&self, id: JobId) -> Result<Statistics>;

    /// Waits until the visible state of a job is one of `states`, or `timeout` has passed.
    ///
    /// An empty set means finished. At most 60 seconds, in whole milliseconds; more is taken as
    /// that. The service answers as soon as it happens; nothing is polled.
    ///
    /// # Errors
    /// `job_not_found`. Time running out is not an error: `reached` is false then.
    async fn wait(&self, id: JobId, states: StateSet, timeout: Duration) -> Result<Waited>;

    /// Waits until a job is finished, or `timeout` of any length has passed, by as many
    /// [`wait`](Self::wait)s as it takes.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait); the first one ends it.
    async fn wait_finished(&self, id: JobId, timeout: Duration) -> Result<Waited> {
        wait::finished(self, id, timeout).await
    }

    /// A page of the states that a job itself has reported, oldest first; the first is its
    /// creation.
    async fn changes(&self, id: JobId, page: ListPage) -> Result<Page<Change>>;

    /// A page of the direct children of a job.
    async fn children(&self, id: JobId, list: ListJobs) -> Result<Page<Job>>;

    /// A page of all jobs below a job.
    async fn descendants(&self, id: JobId, list: ListJobs) -> Result<Page<Job>>;

    /// The jobs above a job: its parent first, the root last. At most 64, so they come at once.
    async fn ancestors(&self, id: JobId) -> Result<Vec<Job>>;

    /// A job and all above it as the roll-up sees them, at one instant: the job first, the root
    /// last. At most 65, so they come at once.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn path(&self, id: JobId) -> Result<Vec<JobNode>>;

    /// A page of what a job waits for: for one that is not finished, the deepest unfinished jobs
    /// below it; for a faulted one, those that failed by themselves, the job itself and those below
    /// it, each with the change that says why.
    async fn blockers(&self, id: JobId, page: ListPage) -> Result<Page<Blocker>>;

    /// A page of root jobs, newest first. [`RootsQuery::with_total`] has them counted.
    ///
    /// # Errors
    /// `invalid_expression` with the position, `invalid_cursor`, `invalid_query`.
    async fn roots(&self, query: RootsQuery) -> Result<RootPage>;

    /// Appends 1 to 1,000 lines of up to 8 KiB to the log of a job.
    ///
    /// Lines without an append id get one, so that they are appended once however often this call
    /// has to send them; with one of the caller's the whole call is safe to repeat.
    ///
    /// # Errors
    /// `job_not_found`, `log_full` past 1,000,000 lines, `repeat_conflict`, `invalid_field` for a
    /// line with a line break.
    async fn append_log(&self, id: JobId, lines: NewLogLines) -> Result<LogAppended>;

    /// A page of the log of a job, with numbers and times.
    async fn log(&self, id: JobId, query: LogQuery) -> Result<Page<LogLine>>;

    /// A page of the log of a job as text.
    async fn log_text(&self, id: JobId, query: LogQuery) -> Result<LogText>;

    /// The keys and sizes of a job's attachments, in the order of the keys. At most 64, so they
    /// come at once.
    async fn attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>>;

    /// The text of an attachment.
    ///
    /// # Errors
    /// `attachment_not_found`, `job_not_found`.
    async fn attachment(&self, id: JobId, key: &str) -> Result<String>;

    /// Attaches a text of up to 64 KiB to a job, in the place of the one that had the key. Of two
    /// callers at once the last to arrive wins; safe to repeat otherwise.
    ///
    /// # Errors
    /// `job_not_found`, `too_many_attachments` past 64, `invalid_field` for a key that is not 1
    /// to 128 of `A-Z a-z 0-9 . _ -`.
    async fn put_attachment(&self, id: JobId, key: &str, text: String) -> Result<()>;

    /// Takes an attachment away.
    ///
    /// # Errors
    /// `attachment_not_found`, unless an earlier try of this call may have taken it away.
    async fn delete_attachment(&self, id: JobId, key: &str) -> Result<()>;

    /// Sends an upload: new jobs and changes for any number of trees, of each of which all becomes
    /// visible at one instant, or nothing.
    ///
    /// An upload has up to 2,000,000 new jobs, 100,000 trees and 1 GiB, unless the service is set
    /// up otherwise. `Ok` says what became of it; trees may have been refused. What was applied is
    /// durable then. The client sends what has not arrived again, after asking what has; and the
    /// whole call is safe to repeat with the same id and source, for as long as the service
    /// remembers uploads (a day at least): a tree that was applied is not applied again. A call
    /// that is dropped leaves each tree applied or not; [`upload_outcome`](Self::upload_outcome)
    /// tells, and so does sending it again.
    ///
    /// # Errors
    /// `invalid_commit` with the record, `commit_conflict` if the id was used for something else,
    /// `commit_too_large`, `other_rules`. Trees before the mistake may have been applied.
    async fn upload(&self, id: &UploadId, source: Arc<dyn UploadSource>) -> Result<UploadOutcome>;

    /// What has become of an upload, if the service remembers it. While it is still coming in, or
    /// when it has broken off, it is not `complete`.
    async fn upload_outcome(&self, id: &UploadId) -> Result<Option<UploadOutcome>>;

    /// A page of the results of the trees of an upload, in the order of their roots.
    ///
    /// # Errors
    /// `commit_not_found`, `invalid_cursor`.
    async fn upload_trees(&self, id: &UploadId, page: ListPage) -> Result<Page<TreeResult>>;

    /// [`changes`](Self::changes) one by one; pages are fetched as they are needed.
    fn changes_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Change> {
        stream::items(page.cursor, move |cursor| {
            self.changes(id, ListPage { limit: page.limit, cursor })
        })
    }

    /// [`children`](Self::children) one by one; pages are fetched as they are needed.
    fn children_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job> {
        let ListJobs { states, limit, cursor } = list;
        stream::items(cursor, move |cursor| self.children(id, ListJobs { states, limit, cursor }))
    }

    /// [`descendants`](Self::descendants) one by one; pages are fetched as they are needed.
    fn descendants_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job> {
        let ListJobs { states, limit, cursor } = list;
        stream::items(cursor, move |cursor| {
            self.descendants(id, ListJobs { states, limit, cursor })
        })
    }

    /// [`blockers`](Self::blockers) one by one; pages are fetched as they are needed.
    fn blockers_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Blocker> {
        stream::items(page.cursor, move |cursor| {
            self.blockers(id, ListPage { limit: page.limit, cursor })
        })
    }

    /// [`roots`](Self::roots) one by one, without the total; pages are fetched as they are needed.
    fn roots_stream(&self, mut query: RootsQuery) -> ItemStream<'_, Job> {
        stream::items(query.cursor.take(), move |cursor| {
            let page = self.roots(RootsQuery { cursor, ..query.clone() });
            async move {
                let RootPage { items, next_cursor, .. } = page.await?;
                Ok(Page { items, next_cursor })
            }
        })
    }

    /// [`log`](Self::log) line by line, up to its end as it is then; pages are fetched as they are
    /// needed.
    fn log_stream(&self, id: JobId, query: LogQuery) -> ItemStream<'_, LogLine> {
        let LogQuery { from, limit, cursor } = query;
        stream::items(cursor, move |cursor| self.log(id, LogQuery { from, limit, cursor }))
    }

    /// [`upload_trees`](Self::upload_trees) one by one; pages are fetched as they are needed.
    fn upload_trees_stream(&self, id: &UploadId, page: ListPage) -> ItemStream<'_, TreeResult> {
        let id = id.clone();
        stream::items(page.cursor, move |cursor| {
            let (id, limit) = (id.clone(), page.limit);
            async move { self.upload_trees(&id, ListPage { limit, cursor }).await }
        })
    }
}
