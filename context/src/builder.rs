use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jobtracker_client::{ContextTracker, IdBlocks};
use jobtracker_model::{JobId, Timestamp, limits};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::{
    Error, Flushed, Fsync, JobTrackerContext, Result, auto,
    budget::{Budget, Cost, WhenFull},
    buffer::Buffer,
    clock,
    ids::Ids,
    inner::{Auto, Clock, Inner, NEVER},
    journal::{HEADER, Journal, JournalFile},
    paths::Paths,
};

/// Sets up a [`JobTrackerContext`]. Nothing is checked, and nothing is opened, before
/// [`build`](Self::build).
#[must_use]
pub struct ContextBuilder {
    tracker: Arc<dyn ContextTracker>,
    block_updates_after_finish: bool,
    id_block_size: u32,
    ids: Option<(JobId, u64)>,
    most: Cost,
    when_full: WhenFull,
    flush_at: Cost,
    flush_every: Option<Duration>,
    clock: Clock,
    journal: Option<PathBuf>,
    fsync: Fsync,
    journal_bytes: u64,
}

impl JobTrackerContext {
    /// A context with the default settings.
    ///
    /// # Errors
    /// See [`ContextBuilder::build`].
    pub fn new(tracker: Arc<dyn ContextTracker>) -> Result<Self> {
        Self::builder(tracker).build()
    }

    /// A context to be set up, that sends what it records to this service.
    pub fn builder(tracker: Arc<dyn ContextTracker>) -> ContextBuilder {
        ContextBuilder::new(tracker)
    }
}

impl ContextBuilder {
    fn new(tracker: Arc<dyn ContextTracker>) -> Self {
        Self {
            tracker,
            block_updates_after_finish: true,
            id_block_size: 10_000,
            ids: None,
            most: Cost { operations: 10_000_000, bytes: limits::COMMIT_BYTES },
            when_full: WhenFull::default(),
            flush_at: NEVER,
            flush_every: None,
            clock: Arc::new(clock::system),
            journal: None,
            fsync: Fsync::Every(Duration::from_millis(100)),
            journal_bytes: 4 * 1024 * 1024 * 1024,
        }
    }

    /// Whether updates to finished jobs change nothing. Yes by default, as for the service; it
    /// must be as the service is set up, which refuses uploads otherwise (`other_rules`).
    pub fn block_updates_after_finish(mut self, block: bool) -> Self {
        self.block_updates_after_finish = block;
        self
    }

    /// How many ids are reserved at once for jobs that are created without an id, from 1 to
    /// 1,000,000; 10,000 by default. The next ones are reserved when half of them are used. Ids
    /// that are left when the context is dropped stay unused.
    pub fn id_block_size(mut self, count: u32) -> Self {
        self.id_block_size = count;
        self
    }

    /// Takes the ids `first`, `first + 1`, … for jobs that are created without one, `count` of
    /// them, and then no others. The caller must own them, as it owns those of
    /// [`Creations::reserve_ids`](jobtracker_client::Creations::reserve_ids).
    pub fn ids_from(mut self, first: JobId, count: u64) -> Self {
        self.ids = Some((first, count));
        self
    }

    /// How many operations may be in the buffer that have no outcome yet: creations, changes,
    /// options, and lines of logs. 1 to 1,000,000,000; 10,000,000 by default. Those on their way
    /// are counted.
    pub fn max_operations(mut self, operations: u64) -> Self {
        self.most.operations = operations;
        self
    }

    /// How much memory they may take, roughly; 1 GiB by default.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.most.bytes = bytes;
        self
    }

    /// What happens when the buffer or the journal is full. By default it refuses: only then is a
    /// tree always visible as a whole, or not at all, when the context is committed.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Flushes in the background when this many operations have not been sent. Not by default.
    pub fn flush_at_operations(mut self, operations: u64) -> Self {
        self.flush_at.operations = operations;
        self
    }

    /// Flushes in the background when this many bytes have not been sent. Not by default.
    pub fn flush_at_bytes(mut self, bytes: u64) -> Self {
        self.flush_at.bytes = bytes;
        self
    }

    /// Flushes in the background this long after the last time, if there is anything to send. Not
    /// by default.
    pub fn flush_every(mut self, interval: Duration) -> Self {
        self.flush_every = Some(interval);
        self
    }

    /// The clock; the system's clock by default. It is asked once for every operation,
    /// while its tree is locked, and may be set back.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Writes what is recorded to this file too, so that it can be
    /// [recovered](JobTrackerContext::recover) when the process is killed. The file is created if
    /// it is not there; only its owner may read it then, since the secrets of actions are in it. It
    /// is emptied whenever everything that was recorded has an outcome, and is never deleted. Trees
    /// that were refused stay in it; when only these are left and it has grown, it is replaced by a
    /// file with them alone, which is written beside it (`.new`) first.
    ///
    /// While it cannot be written, as on a full disk, nothing is recorded
    /// ([`Error::Journal`](crate::Error::Journal)); what was recorded before can be flushed.
    pub fn journal(mut self, path: impl AsRef<Path>) -> Self {
        self.journal = Some(path.as_ref().to_owned());
        self
    }

    /// When the journal is made durable; every 100 milliseconds by default.
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// How large the journal may grow, in bytes, before it has to be emptied; 4 GiB by default.
    /// Past it the buffer counts as full until everything in it has been sent, but for what was
    /// refused.
    pub fn max_journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// The context. A context that flushes in the background must be built inside a tokio runtime.
    ///
    /// # Errors
    /// A number that is out of its range; a journal that cannot be opened, is in use, or has
    /// something in it that was not recovered.
    pub fn build(self) -> Result<JobTrackerContext> {
        self.check()?;
        let inner = Arc::new(self.inner()?);
        if let Some(path) = &self.journal {
            let file = JournalFile::create(path, self.block_updates_after_finish)?;
            let journal = Journal::start(file, self.fsync, self.journal_bytes, HEADER, 0)?;
            inner.buffer.set_journal(journal);
        }
        if self.flush_at != NEVER || self.flush_every.is_some() {
            let wake = Arc::clone(&inner.auto.wake);
            tokio::spawn(auto::run(Arc::downgrade(&inner), wake, self.flush_every));
        }
        Ok(JobTrackerContext { inner })
    }

    /// What the handles share, without a journal and without a background.
    pub(crate) fn inner(&self) -> Result<Inner> {
        let tracker = || Arc::clone(&self.tracker);
        let ids = match self.ids {
            None => Ids::Reserved(IdBlocks::new(tracker(), self.id_block_size)),
            Some((first, count)) => {
                let end = first.get().checked_add(count);
                let end = end.filter(|end| *end <= JobId::MAX.get() + 1);
                let end = end.ok_or(Error::Setup("the ids end past the last one"))?;
                Ids::Given(Mutex::new(first.get()..end))
            }
        };
        let auto = Auto { at: self.flush_at, wake: Arc::new(Notify::new()) };
        Ok(Inner {
            tracker: tracker(),
            buffer: Buffer::new(self.block_updates_after_finish),
            budget: Budget::new(self.most),
            when_full: self.when_full,
            clock: Arc::clone(&self.clock),
            ids,
            paths: Paths::new(tracker()),
            queue: Mutex::new(VecDeque::new()),
            turn: Semaphore::new(1),
            refused: Mutex::new(Vec::new()),
            unreported: Mutex::new(Flushed::default()),
            uploads: AtomicU64::new(0),
            failed_flushes: AtomicU64::new(0),
            auto,
        })
    }

    fn check(&self) -> Result<()> {
        let complain = |reason| Err(Error::Setup(reason));
        if !(1..=limits::IDS_PER_RESERVATION).contains(&self.id_block_size) {
            return complain("an id block has 1 to 1,000,000 ids");
        }
        if !(1..=1_000_000_000).contains(&self.most.operations) {
            return complain("a buffer has room for 1 to 1,000,000,000 operations");
        }
        if self.flush_every.is_some_and(|every| every.is_zero()) {
            return complain("the time between two flushes is not nothing");
        }
        Ok(())
    }
}
