use std::sync::Arc;

use dashmap::Entry;
use jobtracker_model::JobNode;

use super::{NONE, Node, Tree, TreeState};
use crate::{
    Error, Result,
    buffer::{Buffer, JobAddress},
};

impl TreeState {
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
                    self.release_if_any(buffer, above);
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

    fn release_if_any(&mut self, buffer: &Buffer, slot: u32) {
        if slot != NONE {
            self.release(buffer, slot);
        }
    }
}
