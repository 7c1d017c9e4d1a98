//! Those who wait for their turn: each tree is in one commit at a time, and its operations are
//! applied in the order in which they arrived.

use std::collections::{HashMap, VecDeque};

use jobtracker_model::JobId;

use crate::operation::Submitted;

/// The line between the queue and the commits.
#[derive(Default)]
pub(crate) struct Line {
    /// Next to be taken, oldest first.
    ready: VecDeque<Submitted>,
    /// Trees that are in a commit under way, each with the operations that wait for its end.
    busy: HashMap<JobId, Vec<Submitted>>,
    /// Jobs that are created by a commit under way, or by an operation that waits for one, with
    /// their trees: nobody can load them yet.
    unborn: HashMap<JobId, JobId>,
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub fn push(&mut self, submitted: Submitted) {
        self.ready.push_back(submitted);
    }

    /// Puts back what was taken and does not fit.
    pub fn push_front(&mut self, submitted: Submitted) {
        self.ready.push_front(submitted);
    }

    pub fn pop(&mut self) -> Option<Submitted> {
        self.ready.pop_front()
    }

    /// The tree of a job that is being created.
    pub fn unborn(&self, id: JobId) -> Option<JobId> {
        self.unborn.get(&id).copied()
    }

    /// Lets an operation of a busy tree wait; gives it back if the tree is free.
    pub fn park(&mut self, root: JobId, submitted: Submitted) -> Option<Submitted> {
        match self.busy.get_mut(&root) {
            Some(waiting) => {
                let created = submitted.operation.created();
                self.unborn.extend(created.map(|id| (id, root)));
                waiting.push(submitted);
                None
            }
            None => Some(submitted),
        }
    }

    /// Notes that these trees are in a commit now, which creates these jobs.
    pub fn occupy(&mut self, roots: &[JobId], created: &[(JobId, JobId)]) {
        for root in roots {
            self.busy.entry(*root).or_default();
        }
        self.unborn.extend(created.iter().copied());
    }

    /// Notes that their commit has ended. Those to be computed again come first, then those who
    /// waited, then everybody else: so each tree keeps its order.
    pub fn release(&mut self, roots: &[JobId], created: &[(JobId, JobId)], again: Vec<Submitted>) {
        for (id, _) in created {
            self.unborn.remove(id);
        }
        let waited = roots.iter().filter_map(|root| self.busy.remove(root)).flatten();
        let mut ready: VecDeque<Submitted> = again.into_iter().chain(waited).collect();
        for id in ready.iter().flat_map(|submitted| submitted.operation.created()) {
            self.unborn.remove(&id);
        }
        ready.append(&mut self.ready);
        self.ready = ready;
    }
}
