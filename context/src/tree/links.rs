use std::sync::Arc;

use dashmap::Entry;
use jobtracker_model::{JobId, JobNode};

use super::{FrozenJob, NONE, Node, Tree, TreeState};
use crate::{
    Error, Result,
    buffer::{Buffer, JobAddress},
};

/// How jobs come into a tree, and leave it.
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

    /// Puts a path of jobs that the service has into the tree, except jobs that the tree has, and
    /// says in which slot its lowest job is. None: another task has planted the tree meanwhile.
    ///
    /// Jobs that the tree has stay as they are: they include what has been recorded since.
    ///
    /// # Errors
    /// `id_conflict` if one of the jobs is in the buffer as a job of another tree.
    pub fn load_path(
        &mut self,
        buffer: &Buffer,
        tree: &Arc<Tree>,
        path: &[JobNode],
    ) -> Result<Option<u32>> {
        let mut above = NONE;
        for job in path.iter().rev() {
            let slot = match buffer.entry(job.id) {
                Entry::Occupied(there) if Arc::ptr_eq(&there.get().tree, tree) => there.get().slot,
                Entry::Occupied(there) => {
                    if job.parent.is_none() && there.get().tree.root == tree.root {
                        return Ok(None);
                    }
                    // What was put in on the way down has nothing below it.
                    drop(there);
                    if above != NONE {
                        self.release(buffer, above);
                    }
                    return Err(Error::IdConflict(job.id));
                }
                Entry::Vacant(vacant) => {
                    let slot = self.nodes.next_slot();
                    vacant.insert(JobAddress { tree: Arc::clone(tree), slot });
                    self.link(Node::existing(job, above))
                }
            };
            above = slot;
        }
        Ok(Some(above))
    }

    /// A batch with these jobs has an outcome: jobs without newer notes leave the buffer.
    pub fn settle<'a>(&mut self, buffer: &Buffer, jobs: impl Iterator<Item = &'a FrozenJob>) {
        for job in jobs {
            self.nodes.get_mut(job.slot).in_flight -= 1;
            self.release(buffer, job.slot);
        }
    }

    /// Lets a job leave if nothing keeps it here, and then the jobs above that it alone has kept.
    pub fn release(&mut self, buffer: &Buffer, slot: u32) {
        let mut slot = slot;
        while slot != NONE && self.nodes.get(slot).is_idle() {
            let node = self.unlink(slot);
            buffer.forget(node.id);
            slot = node.parent;
        }
        if slot == NONE {
            self.is_gone = true;
        }
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
