use std::{sync::Arc, thread::JoinHandle};

use async_trait::async_trait;
use fjall::Readable;
use jobtracker_model::{
    AttachmentInfo, Blocker, Change, JobId, LogLine, State, Timestamp, commit::CommitId,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    FjallOptions,
    chores::Chore,
    conclude::Conclude,
    failure,
    forget::Forget,
    front::Front,
    gauges::{self, Meters},
    keys,
    place::Place,
    put_aside::PutAside,
    readers::{Readers, closed},
    retired::Retired,
    stages::{Hidden, Stages},
    tables::Tables,
    writer::{Work, Writer},
};
use crate::{
    AgendaKey, AgendaQuery, BlockersQuery, ChangesQuery, ChildrenQuery, CommitRow,
    DescendantsQuery, Error, FollowUp, FollowUpKey, FollowUpsQuery, JobRow, Listed, Loaded,
    LogQuery, Result, RootKey, RootsQuery, Row, RowsQuery, StageId, Store, TreeCommit, VerdictRow,
    VerdictsQuery, View, Wanted, commit::check_aside, view,
};

/// The store in a directory of this machine; one process may have it open.
///
/// A commit is answered after its batch is in the journal and the journal is on the disk. Memory is
/// bounded by the options. Hot rows are answered at once; everything that may touch the disk runs
/// on threads of the store.
pub struct FjallStore {
    front: Arc<Front>,
    stages: Arc<Stages>,
    /// Places for chores, as many as for calls in the queue; a chore leaves the queue at once.
    chores: Arc<Semaphore>,
    meters: Arc<Meters>,
    readers: Readers,
    writer: Mutex<Option<mpsc::Sender<Work>>>,
    running: Mutex<Option<Running>>,
}

/// What is there until the store is closed, in the order in which it has to go.
struct Running {
    threads: Vec<JoinHandle<()>>,
    tables: Arc<Tables>,
    place: Place,
}

impl Running {
    /// Waits for the threads, then for the engine's.
    fn stop(self) {
        let Self { threads, tables, place } = self;
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        // A lock that a panic has poisoned would make the engine panic again.
        if let Err(error) = failure::caught("closing the store", || drop(tables)) {
            tracing::error!(%error, "the store was not closed in good order");
        }
        drop(place);
    }
}

impl FjallStore {
    /// Opens the store, and creates it if there is none. Blocks: it reads what the last process
    /// may have left in the journal.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, is damaged or was written by a newer version.
    pub fn open(options: &FjallOptions) -> Result<Self> {
        let place = Place::take(options)?;
        let tables = Arc::new(Tables::open(&place.tables(), options)?);
        let snapshot = tables.database.snapshot();
        let max_id = failure::caught("opening the store", || {
            let last = snapshot.last_key_value(&tables.origins);
            last.map(|row| keys::origin_id(&row.key().map_err(failure::reading)?)).transpose()
        })??;
        let stages = failure::caught("opening the store", || Stages::left(&tables, &snapshot))??;
        let (hidden, stages) = (Hidden::new(stages.all()), Arc::new(stages));
        let max_id = max_id.map_or(0, JobId::get);
        let front = Arc::new(Front::new(options, snapshot, max_id, hidden));
        let meters = Arc::new(Meters::default());
        let no_thread = |error| Error::Unavailable(format!("cannot start a thread: {error}"));
        let (readers, mut threads) =
            Readers::start(&tables, &front, options.readers, options.read_queue)
                .map_err(no_thread)?;
        let (sender, queue) = mpsc::channel(options.commit_queue.max(1));
        let (retired, thread) =
            Retired::start().inspect_err(|_| readers.close()).map_err(no_thread)?;
        threads.push(thread);
        let writer = Writer::new(&tables, &front, &stages, &meters, retired, options);
        let thread = std::thread::Builder::new().name("store-write".into());
        let spawned = thread.spawn(move || writer.run(queue));
        threads.push(spawned.inspect_err(|_| readers.close()).map_err(no_thread)?);
        Ok(Self {
            front,
            stages,
            chores: Arc::new(Semaphore::new(options.commit_queue.max(1))),
            meters,
            readers,
            writer: Mutex::new(Some(sender)),
            running: Mutex::new(Some(Running { threads, tables, place })),
        })
    }

    /// What can answer at once, unless the store has been closed.
    fn hot(&self) -> Option<&Front> {
        if self.readers.is_closed() { None } else { Some(&self.front) }
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

    /// Hands over work of many steps, once there is a place for it.
    async fn ask_for<T, C: Chore + 'static>(
        &self,
        chore: impl FnOnce(OwnedSemaphorePermit, oneshot::Sender<Result<T>>) -> C,
    ) -> Result<T> {
        let permit = Arc::clone(&self.chores).acquire_owned().await.map_err(|_| closed())?;
        self.ask_writer(|reply| Work::Chore(Box::new(chore(permit, reply)))).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn View) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.ask(move |view| question(view)).await
    }
}

#[async_trait]
impl Store for FjallStore {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        match self.hot().and_then(|front| front.load(&wanted)) {
            Some(loaded) => Ok(loaded),
            // The engine asks for this, and all that is to be written waits behind it.
            None => self.readers.ask_first(move |rows| view::load(rows, &wanted)).await,
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
        check_aside(&rows)?;
        let call = self.stages.call(stage, root)?;
        self.ask_for(|permit, reply| PutAside::new(call, rows, permit, reply)).await
    }

    fn discard(&self, stage: StageId) {
        if self.stages.discard(stage)
            && let Some(writer) = &*self.writer.lock()
        {
            // A full queue has something to wake the writer too.
            writer.try_send(Work::Discarded).ok();
        }
    }

    async fn conclude(&self, row: CommitRow, refused: Vec<VerdictRow>) -> Result<()> {
        self.ask_for(|permit, reply| Conclude::new(row, refused, permit, reply)).await
    }

    async fn forget_commits(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.ask_for(|permit, reply| Forget::new(before, limit, permit, reply)).await
    }

    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        self.ask_writer(|reply| Work::Reserve { count, reply }).await
    }

    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        match self.hot().and_then(|front| front.job(id)) {
            Some(job) => Ok(job),
            None => self.ask(move |rows| view::get_job(rows, id)).await,
        }
    }

    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        match self.hot().and_then(|front| front.states(&ids)) {
            Some(states) => Ok(states),
            None => self.ask(move |rows| view::get_states(rows, &ids)).await,
        }
    }

    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        self.ask(move |rows| view::list_ancestors(rows, id)).await
    }

    async fn list_children(&self, query: ChildrenQuery) -> Result<Listed<JobRow, JobId>> {
        self.ask(move |rows| view::list_children(rows, &query)).await
    }

    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        self.ask(move |rows| view::list_descendants(rows, &query)).await
    }

    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<Blocker, JobId>> {
        self.ask(move |rows| view::list_blockers(rows, &query)).await
    }

    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        self.ask(move |rows| view::list_changes(rows, &query)).await
    }

    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        self.ask(move |rows| view::list_log(rows, &query)).await
    }

    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        self.ask(move |rows| view::list_attachments(rows, id)).await
    }

    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.ask(move |rows| rows.attachment(id, &key)).await
    }

    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        self.ask(move |rows| view::list_roots(rows, &query)).await
    }

    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        self.ask(move |rows| view::list_follow_ups(rows, &query)).await
    }

    async fn list_agenda(
        &self,
        query: AgendaQuery,
    ) -> Result<Listed<(AgendaKey, FollowUp), AgendaKey>> {
        self.ask(move |rows| view::list_agenda(rows, &query)).await
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.ask(move |rows| view::list_rows(rows, &query)).await
    }

    async fn get_commit(&self, commit: &CommitId) -> Result<Option<CommitRow>> {
        let commit = commit.clone();
        self.ask(move |rows| rows.concluded(&commit)).await
    }

    async fn list_verdicts(&self, query: VerdictsQuery) -> Result<Listed<VerdictRow, JobId>> {
        self.ask(move |rows| view::list_verdicts(rows, &query)).await
    }

    async fn check(&self) -> Result<()> {
        self.ask_writer(|reply| Work::Check { reply }).await
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let running = self.running.lock();
        let read = |running: &Running| {
            let waiting = self.readers.waiting();
            gauges::read(&self.meters, &self.front, &self.stages, &running.tables, waiting)
        };
        running.as_ref().map(read).unwrap_or_default()
    }

    async fn close(&self) {
        self.readers.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // It fails only when the writer is gone, and then there is nobody to tell.
            writer.send(Work::Close).await.ok();
        }
        let Some(running) = self.running.lock().take() else { return };
        let (done, stopped) = oneshot::channel();
        let stop = move || {
            running.stop();
            done.send(()).ok();
        };
        // Without a thread the closure is dropped, and the engine with it.
        if std::thread::Builder::new().name("store-close".into()).spawn(stop).is_ok() {
            stopped.await.ok();
        }
    }
}

/// A store that was not closed is closed here; this blocks until its threads are done.
impl Drop for FjallStore {
    fn drop(&mut self) {
        self.readers.close();
        drop(self.writer.lock().take());
        if let Some(running) = self.running.lock().take() {
            running.stop();
        }
    }
}

/// What a caller hears when the writer was lost on the way.
fn unanswered() -> Error {
    Error::OutcomeUnknown("the writer has stopped".into())
}
