//! The same rules for jobs whose whole history is known at once, as in a commit: each job is
//! looked at once, after everything below it, and nothing of its descendants is kept but a sum.
//!
//! Where order matters (which Running was the first, which change finished a job), the numbers
//! with which the changes were recorded decide. A job that is finished in the end has been so since
//! the last of these: the first of its own changes since which its own work was over, and for
//! each child the moment since which that one was finished.

use super::Status;
use crate::{
    JobId, Mark, State, Timestamp,
    numbers::{ChildrenDelta, Delta},
};

/// When a change was recorded: its place among all changes of its tree, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Larger for what was recorded later.
    pub order: u64,
    /// The clock then. It may have been set back in between.
    pub time: Timestamp,
}

/// A new job, while its own changes and then its children come in.
#[derive(Debug, Clone)]
pub struct Branch {
    id: JobId,
    born: Recorded,
    last: Recorded,
    status: Status,
    /// Since when its own work is over, if it is.
    over: Option<Recorded>,
    started: Option<(Recorded, JobId)>,
    /// The child that finished last.
    ended: Option<(Recorded, JobId)>,
}

/// A new job with everything below it: its final status, and what its parent needs of it.
#[derive(Debug, Clone)]
pub struct Grown {
    /// The job.
    pub id: JobId,
    /// Its status.
    pub status: Status,
    pub(super) born: Recorded,
    pub(super) last: Recorded,
    pub(super) started: Option<Recorded>,
    pub(super) ended: Option<Recorded>,
}

impl Branch {
    /// A new job.
    #[must_use]
    pub fn created(id: JobId, born: Recorded) -> Self {
        let (status, _) = Status::created(id, born.time);
        Self { id, born, last: born, status, over: None, started: None, ended: None }
    }

    /// The job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The place of its last change; of its creation, if there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.order
    }

    /// When it was created.
    #[must_use]
    pub fn born(&self) -> u64 {
        self.born.order
    }

    /// How many own changes it has so far, the creation included.
    #[must_use]
    pub fn changes(&self) -> u32 {
        self.status.changes
    }

    /// How many lines its log has so far.
    #[must_use]
    pub fn log_lines(&self) -> u32 {
        self.status.log_lines
    }

    /// Appends a line of the log.
    pub fn append_line(&mut self) {
        self.status.log_lines += 1;
    }

    /// Appends one of its own changes, recorded after those before.
    pub fn report(&mut self, state: State, at: Recorded) {
        self.last = at;
        self.status.changes += 1;
        self.status.last = state;
        self.status.flags.ever_faulted |= state == State::Faulted;
        let is_over = state.says_own_work_is_over();
        self.status.end_time = is_over.then_some(at.time);
        self.over = if is_over { self.over.or(Some(at)) } else { None };
        if state == State::Running {
            self.status.start_time.get_or_insert(at.time);
            keep_first(&mut self.started, at, self.id);
        }
    }

    /// Takes in a child with everything below it.
    pub fn absorb(&mut self, child: &Grown) {
        let mut one = ChildrenDelta::default();
        one.shift(None, child.status.category());
        self.status.children.add(&one);
        self.status.subtree.add(&child.delta(None));
        if let Some(at) = child.started {
            keep_first(&mut self.started, at, child.id);
        }
        if let Some(at) = child.ended
            && self.ended.is_none_or(|(known, _)| known.order < at.order)
        {
            self.ended = Some((at, child.id));
        }
    }

    /// The job as it is, with all its children taken in.
    #[must_use]
    pub fn grown(self) -> Grown {
        let Self { id, born, last, mut status, over, started, ended } = self;
        status.state = status.visible();
        status.tree_start = started.map(mark);
        let own = over.map(|at| (at, id));
        let ended = own.into_iter().chain(ended).max_by_key(|(at, _)| at.order);
        let ended = ended.filter(|_| status.state.is_finished());
        status.tree_end = ended.map(mark);
        let at = |found: Option<(Recorded, JobId)>| found.map(|(at, _)| at);
        Grown { id, status, born, last, started: at(started), ended: at(ended) }
    }
}

pub(super) fn mark((at, source): (Recorded, JobId)) -> Mark {
    Mark { time: at.time, source }
}

/// Keeps the earliest start; of two at the same time, the one that was recorded first.
pub(super) fn keep_first(first: &mut Option<(Recorded, JobId)>, at: Recorded, source: JobId) {
    let rank = |at: Recorded| (at.time, at.order);
    if first.is_none_or(|(known, _)| rank(at) < rank(known)) {
        *first = Some((at, source));
    }
}

impl Grown {
    /// What it adds to the numbers above it, of which it is counted in `before` already.
    pub(super) fn delta(&self, before: Option<State>) -> Delta {
        let mut delta = Delta::of_all(&self.status.subtree);
        if before != Some(self.status.state) {
            delta.shift(before, self.status.state);
        }
        delta
    }
}
