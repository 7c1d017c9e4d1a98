use std::collections::BTreeMap;

use crate::{JobId, Report, State, Timestamp};

/// A tree, or many, kept as nothing but parents and own changes. Every question is answered by
/// computing everything anew.
#[derive(Debug, Clone, Default)]
pub struct NaiveTree {
    jobs: BTreeMap<JobId, (Option<JobId>, Vec<Own>)>,
    children: BTreeMap<JobId, Vec<JobId>>,
    changes: i64,
}

/// An own change.
#[derive(Debug, Clone, Copy)]
struct Own {
    state: State,
    time: Timestamp,
    /// Its place among all changes.
    order: i64,
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
        let born = self.own(State::WaitingToRun, None);
        let before = self.jobs.insert(id, (parent, vec![born]));
        assert!(before.is_none(), "{id} is there already");
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().push(id);
        }
    }

    /// Appends a change, later than all before.
    ///
    /// # Panics
    /// There is no such job.
    pub fn append(&mut self, id: JobId, state: State) {
        let own = self.own(state, None);
        self.jobs.get_mut(&id).expect("the job is there").1.push(own);
    }

    /// Appends a change that was recorded at that time.
    ///
    /// # Panics
    /// There is no such job.
    pub fn append_at(&mut self, id: JobId, state: State, time: Timestamp) {
        let own = self.own(state, Some(time));
        self.jobs.get_mut(&id).expect("the job is there").1.push(own);
    }

    fn own(&mut self, state: State, time: Option<Timestamp>) -> Own {
        self.changes += 1;
        let order = self.changes;
        let next = || Timestamp::from_millis(order).expect("the number of changes fits a time");
        Own { state, time: time.unwrap_or_else(next), order }
    }

    /// The earliest own Faulted report at a job or below it; of several at the same time, the one
    /// that was appended first.
    #[must_use]
    pub fn first_fault(&self, of: JobId) -> Option<Report> {
        let mut found = Vec::new();
        let mut jobs = vec![of];
        while let Some(job) = jobs.pop() {
            jobs.extend(self.children(job));
            for (change, own) in (0..).zip(&self.jobs[&job].1) {
                if own.state == State::Faulted {
                    found.push((own.time, own.order, job, change));
                }
            }
        }
        found.into_iter().min().map(|(time, _, job, change)| Report { time, job, change })
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
        let changes = self.jobs[&id].1.iter().map(|own| own.state).collect();
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
        let own: Vec<State> = self.jobs[&id].1.iter().map(|own| own.state).collect();
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
