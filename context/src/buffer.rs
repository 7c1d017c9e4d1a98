use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use dashmap::{DashMap, Entry};
use jobtracker_model::JobId;
use parking_lot::Mutex;

use crate::{
    ContextJob,
    journal::Journal,
    tree::{Tree, TreeState},
};

/// The trees in memory, and where each job is.
///
/// Locks are taken in one order: a tree, then an entry of the map, then the list or the journal. So
/// an entry is copied out of the map before its tree is locked, and read again if the job has left
/// meanwhile.
pub(crate) struct Buffer {
    jobs: DashMap<JobId, JobAddress>,
    /// The trees that the next flush has to examine.
    listed: Mutex<Vec<Arc<Tree>>>,
    is_closed: AtomicBool,
    departures: AtomicU64,
    pub block_updates_after_finish: bool,
    /// Set at once, or when it has been read to its end.
    journal: OnceLock<Journal>,
}

/// Parts of the map, each with a lock; a part is copied when it grows, so they should be small.
const SHARDS: usize = 64;

/// Where a job is.
#[derive(Clone)]
pub(crate) struct JobAddress {
    pub tree: Arc<Tree>,
    pub slot: u32,
}

impl Buffer {
    pub fn new(block_updates_after_finish: bool) -> Self {
        Self {
            jobs: DashMap::with_shard_amount(SHARDS),
            listed: Mutex::default(),
            is_closed: AtomicBool::new(false),
            departures: AtomicU64::new(0),
            block_updates_after_finish,
            journal: OnceLock::new(),
        }
    }

    /// Begins to write this journal.
    pub fn set_journal(&self, journal: Journal) {
        let set = self.journal.set(journal);
        debug_assert!(set.is_ok(), "a buffer has one journal");
    }

    /// Stops writing it.
    pub fn take_journal(&mut self) -> Option<Journal> {
        self.journal.take()
    }

    pub fn journal(&self) -> Option<&Journal> {
        self.journal.get()
    }

    /// Runs a closure on a job in the buffer.
    pub fn look<T>(&self, id: JobId, look: impl Fn(&TreeState, u32) -> T) -> Option<T> {
        while let Some(JobAddress { tree, slot }) = self.find(id) {
            let state = tree.lock();
            if state.nodes.holds(slot, id) {
                return Some(look(&state, slot));
            }
        }
        None
    }

    /// A job in the buffer as it is now.
    pub fn get(&self, id: JobId) -> Option<ContextJob> {
        self.look(id, TreeState::job)
    }

    pub fn entry(&self, id: JobId) -> Entry<'_, JobId, JobAddress> {
        self.jobs.entry(id)
    }

    pub fn forget(&self, id: JobId) {
        self.jobs.remove(&id);
    }

    /// How often jobs have left the buffer. An answer of the service to an earlier question lacks
    /// what was recorded of them.
    pub fn departures(&self) -> u64 {
        self.departures.load(SeqCst)
    }

    /// Jobs are about to leave: the service has what was recorded of them.
    pub fn begin_departure(&self) {
        self.departures.fetch_add(1, SeqCst);
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// From now on nothing is recorded. An operation that is being recorded meanwhile will be found
    /// in a listed tree. False: it was closed before.
    pub fn close(&self) -> bool {
        !self.is_closed.swap(true, SeqCst)
    }

    pub fn open_again(&self) {
        self.is_closed.store(false, SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// The trees in which something may have been recorded since the last time.
    pub fn take_listed(&self) -> Vec<Arc<Tree>> {
        std::mem::take(&mut self.listed.lock())
    }

    /// The tree of a root.
    pub fn tree(&self, root: JobId) -> Option<Arc<Tree>> {
        self.find(root).map(|place| place.tree)
    }

    pub fn clear(&self) {
        self.jobs.clear();
        self.take_listed();
    }

    pub fn find(&self, id: JobId) -> Option<JobAddress> {
        self.jobs.get(&id).map(|place| place.clone())
    }

    /// Has the next flush examine a tree.
    pub fn list(&self, tree: &Arc<Tree>, state: &mut TreeState) {
        if !state.is_listed {
            state.is_listed = true;
            self.listed.lock().push(Arc::clone(tree));
        }
    }

    /// Removes a tree in which nothing was recorded; it need not wait for a flush.
    pub fn unlist_if_gone(&self, tree: &Arc<Tree>, state: &mut TreeState) {
        if state.is_gone && std::mem::take(&mut state.is_listed) {
            let mut listed = self.listed.lock();
            if let Some(at) = listed.iter().rposition(|other| Arc::ptr_eq(other, tree)) {
                listed.swap_remove(at);
            }
        }
    }
}
