use super::{
    Rise, Status, StatusDelta,
    branch::{Grown, Placed, keep_first, keep_first_fault, mark},
};
use crate::{
    JobId, State,
    numbers::{ChildrenDelta, SubtreeDelta},
};

/// What new branches mean to a parent that was there before.
///
/// Branches go in one by one, and only sums are kept, for any number of branches. Each counts as
/// pending from its creation until it last finished; the states in between leave no trace above.
/// The sums hold between two other events at the jobs above, so each such span needs one of these.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    births: Option<(Rise, u64)>,
    started: Option<(Placed, JobId)>,
    faulted: Option<Placed>,
    ends: Option<Ends>,
}

#[derive(Debug, Clone)]
struct Ends {
    children: ChildrenDelta,
    delta: SubtreeDelta,
    last: (Placed, JobId),
}

/// A part of what new branches mean. Within a span they take effect in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrowthStep {
    /// Branches appear, then they start, then they fail, then they end.
    phase: Phase,
    /// The time of the decisive branch.
    order: u64,
    rise: Rise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Births,
    Start,
    Fault,
    Ends,
}

/// The state in which a branch is born, and counted until it ends.
const BORN: State = State::WaitingToRun;

impl Growth {
    /// A branch appears in this span.
    pub fn birth(&mut self, child: &Grown) {
        let (source, born) = (child.id, child.born);
        let first = || (Rise::new(source, born.report), 0);
        let (rise, order) = self.births.get_or_insert_with(first);
        rise.children.shift(None, BORN.category());
        rise.delta.shift(None, BORN);
        if born.order >= *order {
            (rise.source, rise.cause, *order) = (source, born.report, born.order);
        }
    }

    /// A branch starts in this span.
    pub fn start(&mut self, child: &Grown) {
        if let Some(at) = child.started {
            keep_first(&mut self.started, at, child.id);
        }
    }

    /// A branch reports Faulted for the first time in this span.
    pub fn fault(&mut self, child: &Grown) {
        if let Some(at) = child.faulted {
            keep_first_fault(&mut self.faulted, at);
        }
    }

    /// A branch gets to its present state in this span.
    pub fn end(&mut self, child: &Grown) {
        let last = (child.end(), child.id);
        let (children, delta) = Default::default();
        let ends = self.ends.get_or_insert(Ends { children, delta, last });
        ends.children.shift(BORN.category(), child.status.category());
        ends.delta.add(&child.delta(Some(BORN)));
        if last.0.order > ends.last.0.order {
            ends.last = last;
        }
    }

    /// The steps, to be sorted among those of other parents in the same span.
    pub fn steps(self) -> impl Iterator<Item = GrowthStep> {
        let births =
            self.births.map(|(rise, order)| GrowthStep { phase: Phase::Births, order, rise });
        let start = self.started.map(|(at, source)| {
            let started = Some(mark((at, source)));
            let rise = Rise { started, ..Rise::new(source, at.report) };
            GrowthStep { phase: Phase::Start, order: at.order, rise }
        });
        let fault = self.faulted.map(|at| {
            let rise = Rise { faulted: Some(at.report), ..Rise::new(at.report.job, at.report) };
            GrowthStep { phase: Phase::Fault, order: at.order, rise }
        });
        let ends = self.ends.map(|Ends { children, delta, last: (at, source) }| {
            let rise = Rise { children, delta, ..Rise::new(source, at.report) };
            GrowthStep { phase: Phase::Ends, order: at.order, rise }
        });
        [births, start, fault, ends].into_iter().flatten()
    }
}

impl Status {
    /// Takes in a step of the growth below. `None`: nothing changes further up.
    pub fn grow(&mut self, id: JobId, step: &GrowthStep) -> Option<StatusDelta> {
        self.rise(id, &step.rise)
    }
}
