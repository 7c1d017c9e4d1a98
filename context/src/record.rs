//! The doors by which operations are recorded at jobs of the buffer.

use std::sync::Arc;

use jobtracker_model::{JobId, JobNode, Timestamp};

use crate::{
    Error, Result,
    buffer::{Buffer, JobAddress},
    tree::{Creation, NONE, Planted, Recording, Tree, TreeState},
};

impl Buffer {
    /// Records something about a job in the buffer. If it is not there, `op` comes back.
    pub fn at<T, F>(&self, id: JobId, op: F) -> Result<Result<T>, F>
    where
        F: FnOnce(&mut Recording<'_>) -> Result<T>,
    {
        while let Some(JobAddress { tree, slot }) = self.find(id) {
            let mut state = tree.lock();
            if state.nodes.holds(slot, id) {
                return Ok(self.record(&tree, &mut state, slot, None, op));
            }
        }
        Err(op)
    }

    /// Records something about a job that the service has, at the lower end of this path. If jobs
    /// have left the buffer since the path was `begun`, it may be too old, and `op` comes back.
    pub fn at_path<T, F>(&self, path: &[JobNode], begun: Option<u64>, op: F) -> Result<Result<T>, F>
    where
        F: FnOnce(&mut Recording<'_>) -> Result<T>,
    {
        let root = path.last().expect("a path has a root").id;
        loop {
            let there = self.find(root).map(|place| place.tree);
            let tree = there.unwrap_or_else(|| Arc::new(Tree::new(root)));
            let mut state = tree.lock();
            if state.is_gone {
                continue;
            }
            if begun.is_some_and(|begun| begun != self.departures()) {
                return Err(op);
            }
            let slot = match state.load_path(self, &tree, path) {
                Ok(Some(slot)) => slot,
                Ok(None) => continue,
                Err(error) => return Ok(Err(error)),
            };
            let recorded = self.record(&tree, &mut state, slot, Some(path), op);
            // It may have come to nothing, or be about another job.
            if state.nodes.get(slot).is_idle() {
                state.release(self, slot);
                self.unlist_if_gone(&tree, &mut state);
            }
            return Ok(recorded);
        }
    }

    /// Puts a path of jobs that the service has into the buffer, for what follows in a journal.
    ///
    /// # Errors
    /// See [`TreeState::load_path`].
    pub fn load_path(&self, path: &[JobNode]) -> Result<()> {
        let Some(root) = path.last() else { return Ok(()) };
        let tree = self.tree(root.id).unwrap_or_else(|| Arc::new(Tree::new(root.id)));
        let mut state = tree.lock();
        state.load_path(self, &tree, path).map(drop)
    }

    /// Creates a root.
    pub fn plant(&self, creation: Creation, time: Timestamp) -> Result<Planted> {
        let tree = Arc::new(Tree::new(creation.id));
        let mut state = tree.lock();
        let create = |recording: &mut Recording<'_>| Ok(recording.create(creation, time, NONE, 0));
        let planted = self.record(&tree, &mut state, NONE, None, create);
        if state.nodes.len() == 0 {
            state.is_gone = true;
            self.unlist_if_gone(&tree, &mut state);
        }
        planted
    }

    fn record<T>(
        &self,
        tree: &Arc<Tree>,
        state: &mut TreeState,
        slot: u32,
        base: Option<&[JobNode]>,
        op: impl FnOnce(&mut Recording<'_>) -> Result<T>,
    ) -> Result<T> {
        // The tree is listed first, and `closed` is read after that: a call that closes the buffer
        // and takes the list afterwards finds every tree in which something was recorded.
        self.list(tree, state);
        if self.is_closed() {
            return Err(Error::Closed);
        }
        op(&mut Recording { buffer: self, tree, state, slot, base })
    }
}
