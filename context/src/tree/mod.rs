//! One tree of jobs in memory.
//!
//! A tree has one lock. What is recorded under it, with all that follows up to the root, is one
//! step for every other task. Nothing waits while it is held, and nothing reads siblings.

mod arena;
mod base;
mod freeze;
mod leave;
mod node;
mod recording;

pub(crate) use arena::{Arena, NONE};
pub(crate) use freeze::{FrozenCreation, FrozenJob};
pub(crate) use node::{Chain, Extras, Node, Note, Noted, Options};
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

impl TreeState {
    /// Puts a job below its parent, as the last child.
    pub fn link(&mut self, node: Node) -> u32 {
        let parent = node.parent;
        let slot = self.nodes.insert(node);
        if parent != NONE {
            let above = self.nodes.get_mut(parent);
            let previous = std::mem::replace(&mut above.last_child, slot);
            match previous {
                NONE => above.first_child = slot,
                previous => self.nodes.get_mut(previous).next = slot,
            }
            self.nodes.get_mut(slot).previous = previous;
        }
        slot
    }

    /// The parent of a job; none for the root.
    pub fn parent_id(&self, slot: u32) -> Option<JobId> {
        let parent = self.nodes.get(slot).parent;
        (parent != NONE).then(|| self.nodes.get(parent).id)
    }

    /// Takes a job out from among its siblings.
    fn unlink(&mut self, slot: u32) -> Node {
        let node = self.nodes.remove(slot);
        if node.previous != NONE {
            self.nodes.get_mut(node.previous).next = node.next;
        } else if node.parent != NONE {
            self.nodes.get_mut(node.parent).first_child = node.next;
        }
        if node.next != NONE {
            self.nodes.get_mut(node.next).previous = node.previous;
        } else if node.parent != NONE {
            self.nodes.get_mut(node.parent).last_child = node.previous;
        }
        node
    }
}
