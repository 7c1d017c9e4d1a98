use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use jobtracker_model::{
    CheckedJob, Created, CreatedChildren, IdBlock, JobId, LogAppended, NewChange, NewLogLines,
    Updated,
};
use jobtracker_store::{Error as StoreError, Store, Tombstone};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Deletion, Error, Options, Result,
    bounds::{Bounds, Share},
    commit::Committer,
    feed::{Feed, Listener, Scope},
    metrics::{Load, Metrics},
    operation::{Holder, Operation, Outcome, Submitted},
    upload::UploadsUnderWay,
};

/// The handle of the engine; cheap to clone. Every method that changes something answers when the
/// change is durable, or with an error after which nothing has changed, unless the error says
/// otherwise. A dropped future leaves its operation in the queue: it is done without an answer.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    /// None once the engine takes no more operations.
    queue: Mutex<Option<mpsc::Sender<Submitted>>>,
    bounds: Arc<Bounds>,
    /// True when the last commit has ended.
    ended: watch::Receiver<bool>,
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    commits: UploadsUnderWay,
    options: Options,
    metrics: Metrics,
}

/// Commits under way at once on an embedded store: one is written while the others are computed.
const COMMITS_AT_ONCE: usize = 4;
/// The same on a store that servers share: each waits for the network most of the time.
const COMMITS_AT_ONCE_SHARED: usize = 32;
/// How long a creation waits for ids that a discarded upload still holds, and how often it tries.
const IDS_WAITED_FOR: Duration = Duration::from_secs(20);
const IDS_LOOKED_FOR: Duration = Duration::from_millis(10);

impl Engine {
    /// Starts the engine on a thread of its own. The thread ends when [`close`](Self::close) is
    /// called or the last clone is dropped, after everything in the queue is done.
    ///
    /// # Panics
    /// The system cannot start another thread.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, options: Options) -> Self {
        let commits_at_once = match options.commits_at_once {
            0 if store.is_shared() => COMMITS_AT_ONCE_SHARED,
            0 => COMMITS_AT_ONCE,
            commits => commits,
        };
        let options = Options { commits_at_once, ..options };
        let (queue, waiting) = mpsc::channel(options.queue_operations.max(1));
        let (end, ended) = watch::channel(false);
        let feed = Arc::new(Feed::new(Arc::clone(&store)));
        let metrics = Metrics::default();
        let bounds =
            Bounds::new(options.queue_operations.max(1), options.queue_bytes, metrics.clone());
        let committer = Committer::new(
            Arc::clone(&store),
            options,
            waiting,
            Arc::clone(&feed),
            metrics.clone(),
        );
        committer.spawn(end);
        let queue = Mutex::new(Some(queue));
        let commits = UploadsUnderWay::default();
        Self(Arc::new(Inner { queue, bounds, ended, store, feed, commits, options, metrics }))
    }

    /// Waits until a commit of this engine has added an entry that is due within
    /// [`SOON`](crate::SOON) to a part of the index of what is due. Entries that were added since
    /// the last call ended count too.
    pub async fn due(&self, part: u32) {
        self.0.feed.due(part).await;
    }

    /// Waits until a commit of this engine has added a task that may be claimed within
    /// [`SOON`](crate::SOON). Tasks that were added since the last call ended count too. For one
    /// caller at a time.
    pub async fn ready(&self) {
        self.0.feed.ready().await;
    }

    /// Has [`ended`](Self::ended) tell of the end of a tree by a commit of this engine, until
    /// [`forget_end`](Self::forget_end). The tree need not be there yet.
    pub fn watch_end(&self, root: JobId) {
        self.0.feed.watch_end(root);
    }

    /// The end of a tree is awaited no more.
    pub fn forget_end(&self, root: JobId) {
        self.0.feed.forget_end(root);
    }

    /// Waits until a watched tree may have ended since the last time that this ended. For one
    /// caller at a time.
    pub async fn until_ended(&self) {
        self.0.feed.until_ended().await;
    }

    /// The watched trees that may have ended, or were deleted, since the last call.
    #[must_use]
    pub fn ended(&self) -> Vec<JobId> {
        self.0.feed.ended()
    }

    /// Reserves `count` consecutive ids. Safe to repeat: ids that are lost leave a gap.
    ///
    /// # Errors
    /// `count` is not 1 to 1,000,000, or no ids are left.
    pub async fn reserve_ids(&self, count: u32) -> Result<IdBlock> {
        match self.submit(Operation::reserve_ids(count)?).await? {
            Outcome::Reserved { first } => Ok(IdBlock { first, count }),
            other => unexpected(&other),
        }
    }

    /// Creates a job. Safe to repeat with an id.
    ///
    /// # Errors
    /// A field past its limit, an unknown or too deep parent, an id that names another job.
    pub async fn create<J>(&self, job: J) -> Result<Created>
    where
        J: TryInto<CheckedJob, Error: Into<Error>>,
    {
        let job = job.try_into().map_err(Into::into)?;
        match self.submit(Operation::create(job)?).await? {
            Outcome::Created(created) if created.len() == 1 => Ok(created[0]),
            other => unexpected(&other),
        }
    }

    /// Creates 1 to 10,000 children of one parent, all or none. Safe to repeat with ids.
    ///
    /// # Errors
    /// As for one job; also an id that is in the request twice.
    pub async fn create_children(
        &self,
        parent: JobId,
        jobs: Vec<CheckedJob>,
    ) -> Result<CreatedChildren> {
        match self.submit(Operation::create_children(parent, jobs, None)?).await? {
            Outcome::Created(items) => Ok(CreatedChildren { items }),
            other => unexpected(&other),
        }
    }

    /// The same for a worker that holds the lease of the parent's task.
    ///
    /// # Errors
    /// Likewise; [`Error::StaleLease`].
    pub async fn create_children_of_task(
        &self,
        parent: JobId,
        jobs: Vec<CheckedJob>,
        holder: Holder,
    ) -> Result<CreatedChildren> {
        match self.submit(Operation::create_children(parent, jobs, Some(holder))?).await? {
            Outcome::Created(items) => Ok(CreatedChildren { items }),
            other => unexpected(&other),
        }
    }

    /// Appends a state change. Safe to repeat with a change id.
    ///
    /// # Errors
    /// An unknown job, a state that cannot be reported, a change id used for something else, a job
    /// with too many changes, a job with a task, whose states come from its worker alone.
    pub async fn update(&self, id: JobId, change: NewChange) -> Result<Updated> {
        match self.submit(Operation::update(id, change)?).await? {
            Outcome::Updated(updated) => Ok(updated),
            other => unexpected(&other),
        }
    }

    /// Replaces the options of a job. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, options past their limit.
    pub async fn update_options(&self, id: JobId, options: Option<String>) -> Result<()> {
        match self.submit(Operation::set_options(id, options)?).await? {
            Outcome::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    /// Appends lines to a job's log. Safe to repeat with an append id.
    ///
    /// # Errors
    /// An unknown job, a line past its limit, a full log, an append id used for something else.
    pub async fn append_log(&self, id: JobId, lines: NewLogLines) -> Result<LogAppended> {
        match self.submit(Operation::append_log(id, lines, None)?).await? {
            Outcome::Appended(appended) => Ok(appended),
            other => unexpected(&other),
        }
    }

    /// The same for a worker that holds the lease of the job's task.
    ///
    /// # Errors
    /// Likewise; [`Error::StaleLease`].
    pub async fn append_log_of_task(
        &self,
        id: JobId,
        lines: NewLogLines,
        holder: Holder,
    ) -> Result<LogAppended> {
        match self.submit(Operation::append_log(id, lines, Some(holder))?).await? {
            Outcome::Appended(appended) => Ok(appended),
            other => unexpected(&other),
        }
    }

    /// Puts an attachment; answers whether it is new. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, a key or text past its limit, too many attachments.
    pub async fn put_attachment(&self, id: JobId, key: String, text: String) -> Result<bool> {
        match self.submit(Operation::put_attachment(id, key, text)?).await? {
            Outcome::Attached { new } => Ok(new),
            other => unexpected(&other),
        }
    }

    /// Deletes an attachment.
    ///
    /// # Errors
    /// An unknown job or attachment.
    pub async fn delete_attachment(&self, id: JobId, key: String) -> Result<()> {
        match self.submit(Operation::delete_attachment(id, key)).await? {
            Outcome::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    /// Deletes a tree as its caller has judged it; what it has occupied is removed in the
    /// background. Safe to repeat: the repetition is refused as [`Error::Gone`].
    ///
    /// # Errors
    /// An unknown or deleted tree, a job that is not a root, a tree that has another version.
    pub async fn delete(&self, deletion: Deletion) -> Result<Tombstone> {
        let root = deletion.root;
        match self.submit(Operation::Delete(deletion)).await {
            Ok(Outcome::Deleted(tombstone)) => Ok(tombstone),
            Ok(other) => unexpected(&other),
            Err(Error::JobNotFound(id)) if id == root => {
                match self.0.store.get_tombstone(root).await? {
                    Some(Tombstone { time, by, .. }) => Err(Error::Gone { root, time, by }),
                    None => Err(Error::JobNotFound(root)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Listens to what is committed from now on.
    ///
    /// # Errors
    /// Too many listeners; the engine is shutting down.
    pub fn listen(&self, scope: Scope) -> Result<Listener> {
        self.0.feed.listen(scope)
    }

    /// Whether the engine takes operations.
    ///
    /// # Errors
    /// It is shutting down, or its thread has died.
    pub fn check(&self) -> Result<()> {
        match &*self.0.queue.lock() {
            Some(queue) if !queue.is_closed() => Ok(()),
            _ => Err(Error::ShuttingDown),
        }
    }

    /// False when the engine's thread has died, so that only a new process helps.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.queue.lock().as_ref().is_none_or(|queue| !queue.is_closed())
    }

    /// How much it has done and has to do. Answers at once.
    #[must_use]
    pub fn load(&self) -> Load {
        let Metrics { operations, refused, waiting, .. } = &self.0.metrics;
        Load {
            operations: operations.get(),
            refused: refused.get(),
            waiting: u64::try_from(waiting.get()).unwrap_or(0),
            commits: self.0.feed.commits(),
        }
    }

    /// Adds the engine's metrics to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Takes no more operations, finishes those that were taken, ends all waits. The store stays
    /// open.
    pub async fn close(&self) {
        self.0.queue.lock().take();
        self.0.feed.close();
        let mut ended = self.0.ended.clone();
        // An error means that the thread has ended, and with it all its work.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }

    pub(crate) fn options(&self) -> Options {
        self.0.options
    }

    pub(crate) fn uploads_under_way(&self) -> UploadsUnderWay {
        Arc::clone(&self.0.commits)
    }

    pub(crate) async fn submit(&self, operation: Operation) -> Result<Outcome> {
        self.until_free(&operation).await;
        let share = self.room_for(&operation)?;
        self.submit_with(operation, share)?.await
    }

    /// Ends when no id that an operation creates is held by a discarded upload: a client may
    /// correct and resend a refused upload while its rows are being removed.
    pub(crate) fn until_free(
        &self,
        operation: &Operation,
    ) -> impl Future<Output = ()> + Send + use<> {
        let store = self.store();
        let mut held: Vec<_> = operation.created().filter(|id| store.is_leaving(*id)).collect();
        async move {
            let mut patience = IDS_WAITED_FOR;
            while !held.is_empty() && !patience.is_zero() {
                tokio::time::sleep(IDS_LOOKED_FOR).await;
                patience = patience.saturating_sub(IDS_LOOKED_FOR);
                held.retain(|id| store.is_leaving(*id));
            }
        }
    }

    /// Takes room for an operation within the bounds.
    pub(crate) fn room_for(&self, operation: &Operation) -> Result<Share> {
        self.0.bounds.take(operation.bytes()).ok_or_else(|| {
            self.0.metrics.refused.inc();
            Error::overloaded()
        })
    }

    /// Submits an operation for which there is room, and returns a future for its answer: the
    /// operation is done whether or not the caller waits.
    pub(crate) fn submit_with(
        &self,
        operation: Operation,
        share: Share,
    ) -> Result<impl Future<Output = Result<Outcome>> + Send + use<>> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Submitted { operation, attempts: 0, reply, share })?;
        // Every operation that was taken is answered, unless the engine's thread has died.
        let died = || StoreError::OutcomeUnknown("the engine has stopped; restart it".into());
        Ok(answer.map(move |answer| answer.unwrap_or_else(|_| Err(died().into()))))
    }

    fn enqueue(&self, submitted: Submitted) -> Result<()> {
        let inner = &self.0;
        let sent = match &*inner.queue.lock() {
            Some(queue) => queue.try_send(submitted),
            None => return Err(Error::ShuttingDown),
        };
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                inner.metrics.refused.inc();
                Error::overloaded()
            }
            mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
        })
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("waiting", &self.0.metrics.waiting.get()).finish()
    }
}

/// Each operation has one kind of outcome; any other outcome is a bug in this crate.
fn unexpected<T>(outcome: &Outcome) -> T {
    unreachable!("an operation cannot have this outcome: {outcome:?}")
}
