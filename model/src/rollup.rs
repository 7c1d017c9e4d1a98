//! The rules: how a job's own changes and its children's make its visible state, numbers and times.
//!
//! A change at one job is a [`StatusDelta`]. It starts with [`Status::created`] or
//! [`Status::report`] and goes up: each ancestor [absorbs](Status::absorb) what came from its child
//! and hands on what its own parent has to know, until nothing changes any more or the root is
//! reached. So a change costs one small step per level, for any number of children.
//!
//! The engine walks the rows of a path, the buffered context walks its buffer; the steps are these.
//! A job whose whole history is known at once is a [`Branch`]: one pass instead of many steps.

mod branch;
mod fault;
mod flags;
mod growth;
mod kept;

pub use branch::{Branch, Grown, Milestones, Recorded};
pub use fault::FirstFault;
pub use flags::Flags;
pub use growth::{Growth, GrowthStep};

use serde::{Deserialize, Serialize};

use crate::{
    Category, Children, JobId, Mark, Report, Standing, State, Subtree, Timestamp,
    numbers::{ChildrenDelta, SubtreeDelta},
};

/// All of a job that the roll-up moves: its visible state and all that the state follows from.
///
/// The serialization that is derived here is its JSON; how stores keep it is in `kept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The visible state.
    pub state: State,
    /// The last own state.
    pub last: State,
    /// Facts that never become untrue.
    #[serde(rename = "everFaulted")]
    #[cfg_attr(feature = "openapi", schema(value_type = bool))]
    pub flags: Flags,
    /// The time of the first change.
    pub create_time: Timestamp,
    /// The time of the first own Running.
    pub start_time: Option<Timestamp>,
    /// The time of the last own change, if it says that the job's own work is over.
    pub end_time: Option<Timestamp>,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
    /// The first Running of the job or below.
    pub tree_start: Option<Mark>,
    /// When the job last became finished; none while it is not.
    pub tree_end: Option<Mark>,
    /// Own changes, the creation included.
    pub changes: u32,
    /// Lines of the log.
    pub log_lines: u32,
    /// Attachments.
    pub attachments: u32,
    /// The earliest own Faulted report of the job or of a job below it: what it is Faulted for,
    /// once it is. Null if there is none; absent if the job is older than the service's knowledge
    /// of this.
    #[serde(default, skip_serializing_if = "FirstFault::is_unknown")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Report>))]
    pub first_fault: FirstFault,
}

impl From<&Status> for Standing {
    fn from(Status { last, state, changes, .. }: &Status) -> Self {
        Self { last: *last, state: *state, changes: *changes }
    }
}

/// What a step at a job means to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusDelta {
    /// The job that it comes from.
    pub source: JobId,
    /// Its visible state before; none when it has just been created.
    pub before: Option<State>,
    /// Its visible state after.
    pub after: State,
    /// The own change that caused it all.
    pub cause: Report,
    /// Differences to the subtree numbers of everything above.
    delta: SubtreeDelta,
    /// A first Running that the parent may not know yet.
    started: Option<Timestamp>,
    /// A first Faulted report, likewise.
    faulted: Option<Report>,
}

/// What a step below means to a job, whether it comes from one child or from many.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rise {
    children: ChildrenDelta,
    delta: SubtreeDelta,
    /// The first Running of it, that the job may not know yet.
    started: Option<Mark>,
    /// The first Faulted report of it, likewise.
    faulted: Option<Report>,
    /// The direct child through which it comes; what finishes the job, if it is finished by this.
    source: JobId,
    /// The own change that caused it.
    cause: Report,
}

impl Rise {
    fn new(source: JobId, cause: Report) -> Self {
        let (children, delta) = Default::default();
        Self { children, delta, started: None, faulted: None, source, cause }
    }
}

impl StatusDelta {
    /// The visible state that the job became by this step, if it became another one. This is what
    /// fires actions; being created fires nothing.
    #[must_use]
    pub fn became(&self) -> Option<State> {
        self.before.filter(|before| *before != self.after).map(|_| self.after)
    }

    /// Whether the parent has nothing to learn from it.
    #[must_use]
    pub fn is_still(&self) -> bool {
        let nothing_first = self.started.is_none() && self.faulted.is_none();
        self.delta.is_zero() && self.before == Some(self.after) && nothing_first
    }

    /// How the job moves among its parent's children.
    fn shift(&self) -> ChildrenDelta {
        let mut children = ChildrenDelta::default();
        children.shift(self.before.and_then(State::category), self.after.category());
        children
    }
}

impl Status {
    /// A new job, and what its creation means to its parent.
    #[must_use]
    pub fn created(id: JobId, time: Timestamp) -> (Self, StatusDelta) {
        let state = State::WaitingToRun;
        let status = Self {
            state,
            last: state,
            flags: Flags::default(),
            create_time: time,
            start_time: None,
            end_time: None,
            children: Children::default(),
            subtree: Subtree::default(),
            tree_start: None,
            tree_end: None,
            changes: 1,
            log_lines: 0,
            attachments: 0,
            first_fault: FirstFault::None,
        };
        let mut delta = SubtreeDelta::default();
        delta.shift(None, state);
        let cause = Report { time, job: id, change: 0 };
        let (started, faulted) = (None, None);
        let status_delta =
            StatusDelta { source: id, before: None, after: state, cause, delta, started, faulted };
        (status, status_delta)
    }

    /// Whether an update to this job is applied, or answered with the state that stands.
    #[must_use]
    pub fn accepts_update(&self, block_updates_after_finish: bool) -> bool {
        !(block_updates_after_finish && self.state.is_finished())
    }

    /// Appends one of the job's own changes.
    pub fn report(&mut self, id: JobId, state: State, time: Timestamp) -> StatusDelta {
        let before = self.state;
        let cause = Report { time, job: id, change: self.changes };
        self.changes += 1;
        self.last = state;
        self.flags.ever_faulted |= state == State::Faulted;
        if state == State::Running && self.start_time.is_none() {
            self.start_time = Some(time);
        }
        self.end_time = state.says_own_work_is_over().then_some(time);
        self.state = self.visible();
        self.mark_end(Mark { time, source: id });
        let started =
            (state == State::Running && self.mark_start(Mark { time, source: id })).then_some(time);
        let faulted = (state == State::Faulted && self.first_fault.take(cause)).then_some(cause);
        let status_delta = self.status_delta(id, before, SubtreeDelta::default(), cause);
        StatusDelta { started, faulted, ..status_delta }
    }

    /// Whether what happened at a direct child fits the numbers here. It always does when both
    /// were seen at the same instant; a buffer may have seen one earlier than the other.
    #[must_use]
    pub fn can_absorb(&self, child: &StatusDelta) -> bool {
        self.children.can_add(&child.shift()) && self.subtree.can_add(&child.delta)
    }

    /// Takes in what happened at a direct child. `None`: nothing changes further up.
    pub fn absorb(&mut self, id: JobId, child: &StatusDelta) -> Option<StatusDelta> {
        let mut rise = Rise::new(child.source, child.cause);
        rise.children = child.shift();
        rise.delta = child.delta;
        rise.started = child.started.map(|time| Mark { time, source: child.source });
        rise.faulted = child.faulted;
        self.rise(id, &rise)
    }

    /// Takes in what comes from below. `None`: nothing changes further up.
    fn rise(&mut self, id: JobId, rise: &Rise) -> Option<StatusDelta> {
        let before = self.state;
        self.subtree.add(&rise.delta);
        self.children.add(&rise.children);
        self.state = self.visible();
        self.mark_end(Mark { time: rise.cause.time, source: rise.source });
        let started = rise.started.filter(|mark| self.mark_start(*mark)).map(|mark| mark.time);
        let faulted = rise.faulted.filter(|report| self.first_fault.take(*report));
        let status_delta = self.status_delta(id, before, rise.delta, rise.cause);
        let status_delta = StatusDelta { started, faulted, ..status_delta };
        (!status_delta.is_still()).then_some(status_delta)
    }

    /// What a change at this job means to its parent, without what may be the first of its kind.
    fn status_delta(
        &self,
        id: JobId,
        before: State,
        mut delta: SubtreeDelta,
        cause: Report,
    ) -> StatusDelta {
        if before != self.state {
            delta.shift(Some(before), self.state);
        }
        let (before, after, started, faulted) = (Some(before), self.state, None, None);
        StatusDelta { source: id, before, after, cause, delta, started, faulted }
    }

    /// The visible state, from the last own state and the children.
    fn visible(&self) -> State {
        if !self.last.says_own_work_is_over() {
            self.last
        } else if self.children.pending > 0 {
            State::WaitingForChildrenToComplete
        } else if self.children.failed > 0 || self.flags.ever_faulted {
            State::Faulted
        } else {
            State::RanToCompletion
        }
    }

    /// Keeps the earliest start; says whether this one is it.
    fn mark_start(&mut self, mark: Mark) -> bool {
        let earlier = self.tree_start.is_none_or(|known| mark.time < known.time);
        if earlier {
            self.tree_start = Some(mark);
        }
        earlier
    }

    /// Keeps the time at which the job became finished. A finished job that goes from successful
    /// to failed was finished already.
    fn mark_end(&mut self, mark: Mark) {
        if !self.state.is_finished() {
            self.tree_end = None;
        } else if self.tree_end.is_none() {
            self.tree_end = Some(mark);
        }
    }

    /// From the tree's start to its end in milliseconds, when both are known.
    #[must_use]
    pub fn execution_time_ms(&self) -> Option<u64> {
        let (start, end) = (self.tree_start?.time, self.tree_end?.time);
        Some(u64::try_from(end.millis() - start.millis()).unwrap_or(0))
    }

    /// The category in which the parent counts this job.
    #[must_use]
    pub fn category(&self) -> Option<Category> {
        self.state.category()
    }
}
