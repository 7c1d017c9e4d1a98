//! Operations that wait for their tree: each tree is in one commit at a time, and its operations
//! are applied in the order in which they arrived.

use std::collections::{HashMap, VecDeque};

use jobtracker_model::JobId;

use crate::{operation::Submitted, root_cache::RootCache};

/// Operations that were taken from the engine's channel and are in no commit yet.
#[derive(Default)]
pub(crate) struct Queue {
    /// Next to be taken, oldest first.
    ready: VecDeque<Submitted>,
    /// Trees that are in a commit under way, or left alone for a while after one.
    busy: HashMap<JobId, Busy>,
    /// Jobs that are created by a commit under way, or by an operation that waits for one, with
    /// their trees: the store cannot load these jobs yet.
    unborn: HashMap<JobId, JobId>,
    root_cache: RootCache,
    /// The number of pauses so far.
    pauses: u64,
    /// Trees for which enough operations wait to end their pause.
    complete: Vec<JobId>,
}

/// A tree to which nothing can be applied now.
#[derive(Default)]
struct Busy {
    /// The operations that wait for it.
    waiting: Vec<Submitted>,
    pause: Option<Pause>,
}

/// How long a tree is left alone after a commit.
struct Pause {
    number: u64,
    /// The pause ends when this many operations wait for the tree.
    enough: usize,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub fn push(&mut self, submitted: Submitted) {
        self.ready.push_back(submitted);
    }

    /// Puts back an operation that was taken and does not fit.
    pub fn push_front(&mut self, submitted: Submitted) {
        self.ready.push_front(submitted);
    }

    pub fn pop(&mut self) -> Option<Submitted> {
        self.ready.pop_front()
    }

    /// The tree of an operation, if that is known without a read.
    pub fn root_of(&self, submitted: &Submitted) -> Option<JobId> {
        let operation = &submitted.operation;
        let id = operation.subject()?;
        self.unborn(id).or_else(|| operation.own_root()).or_else(|| self.root_cache.get(id))
    }

    /// Remembers the tree of a job.
    pub fn learn(&mut self, id: JobId, root: JobId) {
        self.root_cache.learn(id, root);
    }

    /// The tree of a job that is being created.
    pub fn unborn(&self, id: JobId) -> Option<JobId> {
        self.unborn.get(&id).copied()
    }

    /// How many operations wait for a tree.
    pub fn waiting(&self, root: JobId) -> usize {
        self.busy.get(&root).map_or(0, |busy| busy.waiting.len())
    }

    /// Lets an operation of a busy tree wait; gives it back if the tree is free.
    pub fn park(&mut self, root: JobId, submitted: Submitted) -> Option<Submitted> {
        let Some(busy) = self.busy.get_mut(&root) else { return Some(submitted) };
        self.unborn.extend(submitted.operation.created().map(|id| (id, root)));
        busy.waiting.push(submitted);
        if busy.pause.as_ref().is_some_and(|pause| busy.waiting.len() >= pause.enough) {
            self.complete.push(root);
        }
        None
    }

    /// Lets the trees go on for which enough operations wait to end their pauses. Must not be
    /// called while rows are at hand that were loaded before.
    pub fn release_complete(&mut self) {
        let complete = std::mem::take(&mut self.complete);
        let paused = |root: &JobId| self.busy.get(root).is_some_and(|busy| busy.pause.is_some());
        let complete: Vec<_> = complete.into_iter().filter(paused).collect();
        if !complete.is_empty() {
            self.release(&complete, &[], Vec::new());
        }
    }

    /// Notes that these trees are in a commit now, which creates these jobs.
    pub fn occupy(&mut self, roots: impl Iterator<Item = JobId>, created: &[(JobId, JobId)]) {
        for root in roots {
            self.busy.entry(root).or_default();
        }
        self.unborn.extend(created.iter().copied());
    }

    /// Notes that the commit has ended that created these jobs, and that these of its trees may go
    /// on. Operations to be computed again come first, then those that waited, then all others: so
    /// each tree keeps its order.
    pub fn release(&mut self, roots: &[JobId], created: &[(JobId, JobId)], again: Vec<Submitted>) {
        for (id, _) in created {
            self.unborn.remove(id);
        }
        let waited = roots.iter().filter_map(|root| self.busy.remove(root));
        let waited = waited.flat_map(|busy| busy.waiting);
        let mut ready: VecDeque<Submitted> = again.into_iter().chain(waited).collect();
        for id in ready.iter().flat_map(|submitted| submitted.operation.created()) {
            self.unborn.remove(&id);
        }
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    /// Leaves a tree whose commit has ended alone until [`go_on`](Self::go_on), or until `enough`
    /// operations wait for it. Answers the number of the pause.
    pub fn pause(&mut self, root: JobId, enough: usize) -> u64 {
        self.pauses += 1;
        let pause = Pause { number: self.pauses, enough };
        self.busy.entry(root).or_default().pause = Some(pause);
        self.pauses
    }

    /// Ends a pause, unless it has ended already; answers whether this call ended it.
    pub fn go_on(&mut self, root: JobId, number: u64) -> bool {
        let pause = self.busy.get(&root).and_then(|busy| busy.pause.as_ref());
        let lasts = pause.is_some_and(|pause| pause.number == number);
        if lasts {
            self.release(&[root], &[], Vec::new());
        }
        lasts
    }
}
