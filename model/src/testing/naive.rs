use std::collections::BTreeMap;

use crate::{JobId, State};

/// A tree, or many, kept as nothing but parents and own changes. Every question is answered by
/// looking at everything again.
#[derive(Debug, Clone, Default)]
pub struct NaiveTree {
    jobs: BTreeMap<JobId, (Option<JobId>, Vec<State>)>,
    children: BTreeMap<JobId, Vec<JobId>>,
}

/// What the naive model says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaiveJob {
    /// The visible state.
    pub state: State,
    /// Direct children that are pending, successful, failed.
    pub children: [u64; 3],
    /// Descendants: all, waiting, running, waiting for children, successful, failed.
    pub subtree: [u64; 6],
    /// Own changes, oldest first.
    pub changes: Vec<State>,
}

impl NaiveTree {
    /// Creates a job.
    ///
    /// # Panics
    /// The job is there, or its parent is not.
    pub fn create(&mut self, id: JobId, parent: Option<JobId>) {
        assert!(parent.is_none_or(|parent| self.jobs.contains_key(&parent)), "no parent of {id}");
        let before = self.jobs.insert(id, (parent, vec![State::WaitingToRun]));
        assert!(before.is_none(), "{id} is there already");
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().push(id);
        }
    }

    /// Appends a change.
    ///
    /// # Panics
    /// There is no such job.
    pub fn append(&mut self, id: JobId, state: State) {
        self.jobs.get_mut(&id).expect("the job is there").1.push(state);
    }

    /// Whether an update would be applied with updates to finished jobs blocked.
    #[must_use]
    pub fn is_finished(&self, id: JobId) -> bool {
        matches!(self.visible(id), State::RanToCompletion | State::Faulted)
    }

    /// Every job's id.
    pub fn ids(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// The parent of a job.
    #[must_use]
    pub fn parent(&self, id: JobId) -> Option<JobId> {
        self.jobs[&id].0
    }

    /// Direct children, in the order of creation.
    pub fn children(&self, of: JobId) -> impl Iterator<Item = JobId> {
        self.children.get(&of).into_iter().flatten().copied()
    }

    /// Everything about a job.
    #[must_use]
    pub fn job(&self, id: JobId) -> NaiveJob {
        let mut children = [0; 3];
        for child in self.children(id) {
            children[match self.visible(child) {
                State::RanToCompletion => 1,
                State::Faulted => 2,
                _ => 0,
            }] += 1;
        }
        let mut subtree = [0; 6];
        self.count(id, &mut subtree);
        let changes = self.jobs[&id].1.clone();
        NaiveJob { state: self.visible(id), children, subtree, changes }
    }

    fn count(&self, of: JobId, numbers: &mut [u64; 6]) {
        for child in self.children(of) {
            numbers[0] += 1;
            numbers[match self.visible(child) {
                State::WaitingToRun => 1,
                State::Running | State::Warning => 2,
                State::WaitingForChildrenToComplete => 3,
                State::RanToCompletion => 4,
                State::Faulted => 5,
                State::WaitingForActivation => unreachable!("the job is there"),
            }] += 1;
            self.count(child, numbers);
        }
    }

    fn visible(&self, id: JobId) -> State {
        let own = &self.jobs[&id].1;
        let last = own[own.len() - 1];
        if [State::WaitingToRun, State::Running, State::Warning].contains(&last) {
            return last;
        }
        let children: Vec<State> = self.children(id).map(|child| self.visible(child)).collect();
        let finished = [State::RanToCompletion, State::Faulted];
        if children.iter().any(|child| !finished.contains(child)) {
            State::WaitingForChildrenToComplete
        } else if children.contains(&State::Faulted) || own.contains(&State::Faulted) {
            State::Faulted
        } else {
            State::RanToCompletion
        }
    }
}

impl From<&crate::Job> for NaiveJob {
    /// What the service says of a job, in the same words, to be compared. The changes are not part
    /// of a job and stay empty.
    fn from(job: &crate::Job) -> Self {
        let crate::Children { pending, successful, failed } = job.children;
        let below = job.subtree;
        Self {
            state: job.state,
            children: [pending, successful, failed],
            subtree: [
                below.total,
                below.waiting,
                below.running,
                below.waiting_for_children,
                below.successful,
                below.failed,
            ],
            changes: Vec::new(),
        }
    }
}
