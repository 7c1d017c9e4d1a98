use std::{sync::Arc, thread::JoinHandle};

use async_trait::async_trait;
use jobtracker_model::{AttachmentInfo, Change, JobId, LogLine, State, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    FjallOptions, chores::Chore, delete::ForgetTombstones, directory::StoreDirectory,
    held::HeldSnapshot, hot_cache::HotCache, keeper::Keeper, lasting::Lasting, readers::closed,
    session::Session, stage_rows::StageRows, uptime::Uptime, view::SnapshotView, work::Work,
};
use crate::{
    BlockerRow, BlockersQuery, ChangesQuery, ChildPage, ChildrenQuery, DescendantsQuery, Document,
    DocumentChange, DocumentId, DocumentKey, Documents, DocumentsQuery, Error, FollowUp,
    FollowUpKey, FollowUpsQuery, Health, Held, IndexKey, IndexQuery, Indexes, JobPlaces, JobRow,
    Jobs, Listed, Loaded, LogQuery, Result, RootKey, RootsQuery, Row, RowsQuery, SampleQuery,
    Servers, ShapeQuery, StageId, Tombstone, TreeCommit, Trees, Wanted,
    commit::check_staged,
    view::{self, SparseIndexes, View},
};

/// The store in a directory of this machine; one process may have it open.
///
/// A commit is answered after its batch is in the journal and the journal is on the disk. Memory is
/// bounded by the options. Hot rows are answered at once; work that may touch the disk runs on
/// threads of the store. When writing fails, the store comes back by itself as soon as the cause
/// has gone; until then it refuses writes and answers what it can.
pub struct FjallStore {
    lasting: Arc<Lasting>,
    uptime: Uptime,
    child_indexes: Arc<SparseIndexes>,
    /// Permits for chores, as many as for calls in the queue; a chore leaves the queue at once.
    chores: Arc<Semaphore>,
    writer: Mutex<Option<mpsc::Sender<Work>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Is told when the directory is free again.
    closed: Mutex<Option<oneshot::Receiver<()>>>,
}

impl FjallStore {
    /// Opens the store, and creates it if there is none. Blocks: it reads what the last process
    /// may have left in the journal.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, is damaged or was written by a newer version.
    pub fn open(options: &FjallOptions) -> Result<Self> {
        let place = StoreDirectory::take(options)?;
        let (session, lasting) = Session::first(&place, options)?;
        let keeper = Keeper::new(place, options, &lasting);
        let (sender, queue) = mpsc::channel(options.commit_queue.max(1));
        let (free, closed) = oneshot::channel();
        let keep = move || {
            keeper.run(session, queue);
            free.send(()).ok();
        };
        let spawned = std::thread::Builder::new().name("store-write".into()).spawn(keep);
        let keeper = spawned.map_err(|error| {
            lasting.readers.close();
            Error::Unavailable(format!("cannot start a thread: {error}"))
        })?;
        Ok(Self {
            lasting,
            uptime: Uptime::in_directory(&options.directory),
            child_indexes: Arc::default(),
            chores: Arc::new(Semaphore::new(options.commit_queue.max(1))),
            writer: Mutex::new(Some(sender)),
            keeper: Mutex::new(Some(keeper)),
            closed: Mutex::new(Some(closed)),
        })
    }

    /// The hot cache, which answers at once, unless the store has been closed.
    fn hot(&self) -> Option<&HotCache> {
        if self.lasting.readers.is_closed() { None } else { Some(&self.lasting.cache) }
    }

    /// Hands work to the writer; waits while its queue is full.
    async fn hand_over(&self, work: Work) -> Result<()> {
        let writer = self.writer.lock().clone().ok_or_else(closed)?;
        writer.send(work).await.map_err(|_| closed())
    }

    async fn ask_writer<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T>>) -> Work,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(work(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// Hands over work of many steps, once it has a permit.
    pub(super) async fn ask_for<T, C: Chore + 'static>(
        &self,
        chore: impl FnOnce(OwnedSemaphorePermit, oneshot::Sender<Result<T>>) -> C,
    ) -> Result<T> {
        let permit = Arc::clone(&self.chores).acquire_owned().await.map_err(|_| closed())?;
        self.ask_writer(|reply| Work::Chore(Box::new(chore(permit, reply)))).await
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&SnapshotView) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.lasting.readers.ask(question).await
    }
}

#[async_trait]
impl Trees for FjallStore {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        match self.hot().and_then(|cache| cache.load(&wanted)) {
            Some(loaded) => Ok(loaded),
            // The engine asks for this, and all writing waits behind it.
            None => {
                self.lasting
                    .readers
                    .ask_first(async move |rows| view::load(rows, &wanted).await)
                    .await
            }
        }
    }

    async fn look_up(&self, wanted: Wanted) -> Result<Loaded> {
        match self.hot().and_then(|cache| cache.load(&wanted)) {
            Some(loaded) => Ok(loaded),
            None => self.ask(async move |rows| view::load(rows, &wanted).await).await,
        }
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        let trees = commits.len();
        let (reply, answers) = oneshot::channel();
        if let Err(error) = self.hand_over(Work::Commit { commits, reply }).await {
            return vec![Err(error); trees];
        }
        answers.await.unwrap_or_else(|_| vec![Err(unanswered()); trees])
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        check_staged(&rows)?;
        let call = self.lasting.stages.call(stage, root)?;
        self.ask_for(|permit, reply| StageRows::new(call, rows, permit, reply)).await
    }

    fn discard(&self, stage: StageId) {
        if self.lasting.stages.discard(stage)
            && let Some(writer) = &*self.writer.lock()
        {
            // When the queue is full, its work wakes the writer too.
            writer.try_send(Work::Discarded).ok();
        }
    }

    fn is_leaving(&self, id: JobId) -> bool {
        self.lasting.cache.is_leaving(id)
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.ask(async move |rows| view::list_rows(rows, &query).await).await
    }

    async fn hold(&self) -> Result<Option<Arc<dyn Held>>> {
        Ok(Some(Arc::new(HeldSnapshot::new(&self.lasting).await?)))
    }

    async fn list_waiting(&self, query: RowsQuery) -> Result<Listed<(JobId, FollowUpKey), JobId>> {
        self.ask(async move |rows| view::list_waiting(rows, &query).await).await
    }

    async fn get_tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        self.ask(async move |rows| rows.tombstone(root).await).await
    }

    async fn forget_tombstones(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let forget = |permit, reply| ForgetTombstones::new(now, limit, permit, reply);
        let forgotten = self.ask_for(forget).await?;
        if forgotten > 0 {
            self.child_indexes.clear();
        }
        Ok(forgotten)
    }

    fn removals(&self) -> usize {
        self.lasting.cache.removals()
    }
}

#[async_trait]
impl Jobs for FjallStore {
    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        match self.hot().and_then(|cache| cache.job(id)) {
            Some(job) => Ok(job),
            None => self.ask(async move |rows| rows.job(id).await).await,
        }
    }

    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        match self.hot().and_then(|cache| cache.states(&ids)) {
            Some(states) => Ok(states),
            None => self.ask(async move |rows| view::get_states(rows, &ids).await).await,
        }
    }

    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        self.ask(async move |rows| view::list_ancestors(rows, id).await).await
    }

    async fn get_places(&self, id: JobId) -> Result<JobPlaces> {
        loop {
            let indexes = Arc::clone(&self.child_indexes);
            let read = self.ask(async move |rows| view::get_path(rows, id, &indexes).await);
            if let Some(places) = read.await? {
                return Ok(places);
            }
        }
    }

    async fn list_children(&self, query: ChildrenQuery) -> Result<ChildPage> {
        loop {
            let (query, indexes) = (query.clone(), Arc::clone(&self.child_indexes));
            let read =
                self.ask(async move |rows| view::list_children(rows, &query, &indexes).await);
            if let Some(page) = read.await? {
                return Ok(page);
            }
        }
    }

    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        self.ask(async move |rows| view::list_descendants(rows, &query).await).await
    }

    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<BlockerRow, JobId>> {
        self.ask(async move |rows| view::list_blockers(rows, &query).await).await
    }

    async fn get_shape(&self, query: ShapeQuery) -> Result<Vec<JobRow>> {
        self.ask(async move |rows| view::get_shape(rows, &query).await).await
    }

    async fn sample_children(&self, query: SampleQuery) -> Result<Vec<JobRow>> {
        self.ask(async move |rows| view::sample_children(rows, &query).await).await
    }

    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        self.ask(async move |rows| view::list_changes(rows, &query).await).await
    }

    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        self.ask(async move |rows| view::list_log(rows, &query).await).await
    }

    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        self.ask(async move |rows| view::list_attachments(rows, id).await).await
    }

    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.ask(async move |rows| rows.attachment(id, &key).await).await
    }

    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        self.ask(async move |rows| view::list_follow_ups(rows, &query).await).await
    }

    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        self.ask(async move |rows| view::list_roots(rows, &query).await).await
    }
}

#[async_trait]
impl Indexes for FjallStore {
    async fn list_index(
        &self,
        query: IndexQuery,
    ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        self.ask(async move |rows| view::list_index(rows, &query).await).await
    }
}

#[async_trait]
impl Documents for FjallStore {
    async fn get_document(&self, id: &DocumentId) -> Result<Option<Document>> {
        let id = id.clone();
        self.ask(async move |view| view.document(id)).await
    }

    async fn change_document(&self, change: DocumentChange) -> Result<()> {
        self.ask_writer(|reply| Work::Document { change, reply }).await
    }

    async fn list_documents(&self, query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        self.ask(async move |view| view.documents(&query)).await
    }
}

#[async_trait]
impl Servers for FjallStore {
    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        self.ask_writer(|reply| Work::Reserve { count, reply }).await
    }

    async fn get_uptime(&self) -> Result<Option<Vec<u8>>> {
        let uptime = self.uptime.clone();
        self.ask(async move |_| uptime.get()).await
    }

    async fn put_uptime(&self, note: Vec<u8>) -> Result<()> {
        let uptime = self.uptime.clone();
        self.ask(async move |_| uptime.put(&note)).await
    }
}

#[async_trait]
impl Health for FjallStore {
    async fn check(&self) -> Result<()> {
        self.ask_writer(|reply| Work::Check { reply }).await
    }

    fn is_alive(&self) -> bool {
        self.lasting.health.is_alive()
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.lasting.gauges()
    }

    async fn close(&self) {
        self.lasting.readers.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // It fails only when the writer is gone, and then there is no writer to tell.
            writer.send(Work::Close).await.ok();
        }
        let closed = self.closed.lock().take();
        if let Some(closed) = closed {
            closed.await.ok();
        }
    }
}

/// A store that was not closed is closed here; this blocks until its threads are done.
impl Drop for FjallStore {
    fn drop(&mut self) {
        self.lasting.readers.close();
        drop(self.writer.lock().take());
        if let Some(keeper) = self.keeper.lock().take()
            && keeper.join().is_err()
        {
            tracing::error!("the thread that writes has panicked");
        }
    }
}

/// The error for a caller whose request the writer dropped.
fn unanswered() -> Error {
    Error::OutcomeUnknown("the writer has stopped".into())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::mpsc};

    use super::*;

    fn wanted() -> Wanted {
        // Follow-ups that are asked for by name are never read from memory.
        let follow_ups = HashSet::from([(JobId::MIN, FollowUpKey::Delivery(0))]);
        Wanted { follow_ups, ..Wanted::default() }
    }

    /// Reads of other callers wait behind lists, and are refused when the queue is full; reads of
    /// the engine are not.
    #[tokio::test]
    async fn only_the_engine_goes_past_the_queue() {
        let directory = tempfile::tempdir().unwrap();
        let options =
            FjallOptions { readers: 1, read_queue: 1, ..FjallOptions::new(directory.path()) };
        let store = FjallStore::open(&options).unwrap();
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let busy = store.ask(async move |_| {
            begun.send(()).unwrap();
            ends.recv().unwrap();
            Ok(())
        });
        let busy = async { tokio::join!(busy, async { begins.recv().unwrap() }).0 };
        let mut busy = Box::pin(busy);
        assert!(futures_util::poll!(&mut busy).is_pending());
        let mut waits = store.look_up(wanted());
        assert!(futures_util::poll!(&mut waits).is_pending());
        let refused = store.look_up(wanted()).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        let mut first = store.load(wanted());
        assert!(futures_util::poll!(&mut first).is_pending());
        end.send(()).unwrap();
        busy.await.unwrap();
        first.await.unwrap();
        waits.await.unwrap();
        store.close().await;
    }
}
