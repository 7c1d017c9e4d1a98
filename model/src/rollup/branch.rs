//! The same rules for jobs whose whole history is known at once, as in an upload: each job is
//! added up once, after everything below it, and nothing of its descendants is kept but a sum.
//!
//! Where order matters (which Running was the first, which change finished a job), the numbers
//! with which the changes were recorded decide. A job that is finished in the end has been so since
//! the last of these: the first of its own changes since which its own work was over, and for
//! each child the time since which that one was finished.

use super::Status;
use crate::{
    JobId, Mark, Report, State, Timestamp,
    numbers::{ChildrenDelta, SubtreeDelta},
};

/// When a change was recorded: its place among all changes of its tree, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Larger for what was recorded later.
    pub order: u64,
    /// The time by the clock, which may have been set back in between.
    pub time: Timestamp,
}

/// A change and its place among all changes of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Larger for what was recorded later.
    pub order: u64,
    pub report: Report,
}

/// The places, in the order of recording, of what a branch means to the jobs above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milestones {
    /// Its creation.
    pub born: u64,
    /// Its first Running.
    pub started: Option<u64>,
    /// Its first Faulted report.
    pub faulted: Option<u64>,
    /// The change that brought it to its present state.
    pub ended: u64,
}

/// A new job, while its own changes and then its children come in.
#[derive(Debug, Clone)]
pub struct Branch {
    id: JobId,
    born: Placed,
    last: Placed,
    status: Status,
    /// Since when its own work is over, if it is.
    over: Option<Placed>,
    /// The first Running, and the job itself or the child through which it came.
    started: Option<(Placed, JobId)>,
    faulted: Option<Placed>,
    /// What finished the child that finished last, and that child.
    ended: Option<(Placed, JobId)>,
}

/// A new job with everything below it: its final status, and what its parent needs of it.
#[derive(Debug, Clone)]
pub struct Grown {
    /// The job.
    pub id: JobId,
    /// Its status.
    pub status: Status,
    pub(super) born: Placed,
    pub(super) last: Placed,
    pub(super) started: Option<Placed>,
    pub(super) faulted: Option<Placed>,
    pub(super) ended: Option<Placed>,
}

impl Branch {
    /// A new job.
    #[must_use]
    pub fn created(id: JobId, born: Recorded) -> Self {
        let (status, delta) = Status::created(id, born.time);
        let born = Placed { order: born.order, report: delta.cause };
        let (over, started, faulted, ended) = Default::default();
        Self { id, born, last: born, status, over, started, faulted, ended }
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
        let Recorded { order, time } = at;
        let at = Placed { order, report: Report { time, job: self.id, change: self.changes() } };
        self.last = at;
        self.status.changes += 1;
        self.status.last = state;
        self.status.flags.ever_faulted |= state == State::Faulted;
        let is_over = state.says_own_work_is_over();
        self.status.end_time = is_over.then_some(time);
        self.over = if is_over { self.over.or(Some(at)) } else { None };
        if state == State::Running {
            self.status.start_time.get_or_insert(time);
            keep_first(&mut self.started, at, self.id);
        }
        if state == State::Faulted {
            keep_first_fault(&mut self.faulted, at);
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
        if let Some(at) = child.faulted {
            keep_first_fault(&mut self.faulted, at);
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
        let Self { id, born, last, mut status, over, started, faulted, ended } = self;
        status.state = status.visible();
        status.tree_start = started.map(mark);
        status.first_fault = faulted.map(|at| at.report).into();
        let own = over.map(|at| (at, id));
        let ended = own.into_iter().chain(ended).max_by_key(|(at, _)| at.order);
        let ended = ended.filter(|_| status.state.is_finished());
        status.tree_end = ended.map(mark);
        let at = |found: Option<(Placed, JobId)>| found.map(|(at, _)| at);
        Grown { id, status, born, last, started: at(started), faulted, ended: at(ended) }
    }
}

impl Placed {
    /// Whether it is earlier than another one; of two at the same time, the one that was recorded
    /// first.
    fn is_before(&self, other: &Self) -> bool {
        (self.report.time, self.order) < (other.report.time, other.order)
    }
}

pub(super) fn mark((at, source): (Placed, JobId)) -> Mark {
    Mark { time: at.report.time, source }
}

/// Keeps the earliest start.
pub(super) fn keep_first(first: &mut Option<(Placed, JobId)>, at: Placed, source: JobId) {
    if first.is_none_or(|(known, _)| at.is_before(&known)) {
        *first = Some((at, source));
    }
}

/// Keeps the earliest Faulted report.
pub(super) fn keep_first_fault(first: &mut Option<Placed>, at: Placed) {
    if first.is_none_or(|known| at.is_before(&known)) {
        *first = Some(at);
    }
}

impl Grown {
    /// The report that made its state what it is: for Faulted the earliest one, for
    /// RanToCompletion the one that finished it, else its own last change.
    #[must_use]
    pub fn cause(&self) -> Report {
        let decisive = match self.status.state {
            State::Faulted => self.faulted,
            State::RanToCompletion => self.ended,
            _ => None,
        };
        decisive.unwrap_or(self.last).report
    }

    /// Where in the order of recording it means something to the jobs above it.
    #[must_use]
    pub fn milestones(&self) -> Milestones {
        Milestones {
            born: self.born.order,
            started: self.started.map(|at| at.order),
            faulted: self.faulted.map(|at| at.order),
            ended: self.end().order,
        }
    }

    /// The change that brought it to its present state.
    pub(super) fn end(&self) -> Placed {
        self.ended.unwrap_or(self.last)
    }

    /// What it adds to the numbers above it, of which it is counted in `before` already.
    pub(super) fn delta(&self, before: Option<State>) -> SubtreeDelta {
        let mut delta = SubtreeDelta::of_all(self.status.subtree);
        if before != Some(self.status.state) {
            delta.shift(before, self.status.state);
        }
        delta
    }
}
