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

/// What the lock of a tree guards. There is no job in it that has nothing to be sent, is not on its
/// way, and has no such job below it.
#[derive(Default)]
pub(crate) struct TreeState {
    pub nodes: Arena,
    /// What was recorded since the last flush, of all jobs in turn.
    log: Vec<Noted>,
    /// The jobs that it is about, in the order in which they first had something.
    dirty: Vec<u32>,
    /// The place of the next creation or change in the order of recording.
    order: u64,
    /// What is in the log, and in jobs that are to be created.
    unsent: Cost,
    /// How many those are.
    new_jobs: u64,
    /// Jobs that are not to be created and have something, and what that takes in an upload.
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
