//! One tree of jobs in memory.
//!
//! A tree has one lock. What is recorded under it, with all that follows up to the root, is one
//! step for every other task. Nothing waits while it is held, and nothing reads siblings.

mod arena;
mod cost;
mod freeze;
mod links;
mod node;
mod recording;

pub(crate) use arena::Arena;
pub(crate) use freeze::{FrozenCreation, FrozenJob};
pub(crate) use node::{Chain, Extras, NONE, Node, Note, Noted, Options};
pub(crate) use recording::{Creation, Planted, Recording};

use jobtracker_model::JobId;
use parking_lot::{Mutex, MutexGuard};

use crate::{budget::Cost, follow_ups::Upcoming};

pub(crate) struct Tree {
    pub root: JobId,
    state: Mutex<TreeState>,
}

/// The state that the lock of a tree guards. Each job in it has something to be sent, or is on its
/// way, or has such a job below it.
#[derive(Default)]
pub(crate) struct TreeState {
    pub nodes: Arena,
    /// The notes of all jobs since the last flush, in the order of recording.
    log: Vec<Noted>,
    /// The jobs that have notes, in the order of their first note.
    dirty: Vec<u32>,
    /// The position of the next creation or change in the order of recording.
    order: u64,
    /// The cost of the log, and of the jobs that are to be created.
    unsent: Cost,
    /// How many jobs are to be created.
    new_jobs: u64,
    /// Jobs of the service that have notes, and the size of these notes in an upload.
    old_jobs: usize,
    old_bytes: usize,
    /// What follows from the states of the jobs that are to be created.
    upcoming: Upcoming,
    /// Whether the next flush knows of this tree.
    pub is_listed: bool,
    /// Its last job has left; a later call has to find the tree anew.
    pub is_gone: bool,
}

impl Tree {
    pub fn new(root: JobId) -> Self {
        Self { root, state: Mutex::default() }
    }

    pub fn lock(&self) -> MutexGuard<'_, TreeState> {
        self.state.lock()
    }
}
