//! What follows from the states of a job: notices to send, checks to make, and notices that were
//! sent.

use std::sync::Arc;

use jobtracker_model::{
    Action, Attempt, Event, NewCheck, Progress, Report, State, StateSet, Timestamp, Trigger, Way,
    Ways,
};
use serde::{Deserialize, Serialize};

use crate::TaskRow;

mod kept;

/// The name of a follow-up among those of its job. The order is that of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FollowUpKey {
    /// What has to be known of the other follow-ups when the job changes; each job has one at most.
    Watch,
    /// An action.
    Action(u32),
    /// A check.
    Check(u32),
    /// A delivery.
    Delivery(u32),
    /// The task; each job has one at most.
    Task,
}

impl FollowUpKey {
    /// The kind and the number, as they stand in keys.
    #[must_use]
    pub fn parts(self) -> (u8, u32) {
        match self {
            Self::Watch => (0, 0),
            Self::Action(number) => (1, number),
            Self::Check(number) => (2, number),
            Self::Delivery(number) => (3, number),
            Self::Task => (4, 0),
        }
    }

    /// The next one of its kind.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Watch => Self::Watch,
            Self::Task => Self::Task,
            Self::Action(number) => Self::Action(number.saturating_add(1)),
            Self::Check(number) => Self::Check(number.saturating_add(1)),
            Self::Delivery(number) => Self::Delivery(number.saturating_add(1)),
        }
    }

    /// The follow-up of this kind and number.
    #[must_use]
    pub fn of(kind: u8, number: u32) -> Option<Self> {
        match (kind, number) {
            (0, 0) => Some(Self::Watch),
            (1, number) => Some(Self::Action(number)),
            (2, number) => Some(Self::Check(number)),
            (3, number) => Some(Self::Delivery(number)),
            (4, 0) => Some(Self::Task),
            _ => None,
        }
    }
}

/// Something that follows from the states of a job. `kept` defines its stored form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "kept::Kept")]
pub enum FollowUp {
    /// See [`FollowUpKey::Watch`].
    Watch(Watch),
    /// An action, as it was given.
    Action(Arc<Action>),
    /// A check.
    Check(CheckRow),
    /// A delivery.
    Delivery(DeliveryRow),
    /// A task; boxed, so that rows of other kinds stay small.
    Task(Box<TaskRow>),
}

/// What has to be known of a job's follow-ups when the job, or a job below it, changes.
///
/// Stored as it is here: the order of fields never changes, and new ones are skipped and kept
/// behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The actions, by number.
    pub actions: Vec<Watched>,
    /// How many checks there are or were.
    pub checks: u32,
    /// How many of them wait for silence.
    pub silences: u32,
    /// How many deliveries there are: one more than the last number.
    pub deliveries: u32,
    /// When something last happened at the job or below it; `None` unless a check waits for
    /// silence.
    pub active: Option<Timestamp>,
    /// Deliveries that were not made because the job had as many as it may have.
    #[serde(skip)]
    pub lost: u32,
    /// Whether the job has a task, so that its states follow from what the task's worker reports.
    #[serde(skip)]
    pub task: bool,
}

/// What has to be known of an action when its job changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The states that it names.
    pub states: StateSet,
    /// The ways in which its notices are sent.
    pub ways: Ways,
}

impl From<&Action> for Watched {
    fn from(Action { states, target }: &Action) -> Self {
        Self { states: *states, ways: target.into() }
    }
}

/// A check and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// The check that was asked for.
    pub check: Arc<NewCheck>,
    /// When that was.
    pub created: Timestamp,
    /// Its progress.
    pub progress: CheckProgress,
    /// How often it sent a notice of its finding; more than once for silence alone.
    pub told: u32,
    /// When it last sent a notice of silence. `None` in rows of earlier versions, too.
    #[serde(skip)]
    pub last_told: Option<Timestamp>,
}

/// The progress of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckProgress {
    /// It will be made at that time, or as soon as possible after it.
    Waiting(Timestamp),
    /// It was made, or its job has finished and it waited for silence: it has passed then.
    Done {
        /// When.
        time: Timestamp,
        /// Whether it found what it expected.
        passed: bool,
        /// The visible state that it found.
        state: State,
    },
    /// It was cancelled.
    Cancelled(Timestamp),
}

/// A delivery and what became of it.
///
/// Stored as it is here, like [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The check or the action that fired it.
    pub trigger: Trigger,
    /// How it is sent, and where.
    pub way: Way,
    /// The event that it reports; boxed, so that rows of other kinds stay small.
    pub event: Box<Event>,
    /// Its progress.
    pub progress: Progress,
    /// Tries so far.
    pub attempts: u32,
    /// Tries up to the last time that the delivery was asked for again: the schedule begins there.
    pub earlier: u32,
    /// The last try.
    pub last: Option<Attempt>,
    /// Where to find the own change that the event comes from.
    #[serde(skip)]
    pub cause: Cause,
}

/// Where to find the own change that made a state what it is: its message is not copied into every
/// delivery that reports the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cause {
    /// The event has all of it: the source, its message, and its time, which is the event's.
    #[default]
    Told,
    /// It is this report. If the event has a message, it is the message of this report.
    At(Report),
    /// It is older than the service's knowledge of it, and below the job that the event is about.
    Below,
}

impl CheckRow {
    /// A check that is asked for now.
    #[must_use]
    pub fn new(check: Arc<NewCheck>, now: Timestamp) -> Self {
        let progress = CheckProgress::Waiting(check.kind.first(now));
        Self { check, created: now, progress, told: 0, last_told: None }
    }
}

impl DeliveryRow {
    /// A delivery that is due at the time of its event.
    #[must_use]
    pub fn new(trigger: Trigger, way: Way, event: Event) -> Self {
        let progress = Progress::Waiting(event.time);
        let event = Box::new(event);
        let cause = Cause::default();
        Self { trigger, way, event, progress, attempts: 0, earlier: 0, last: None, cause }
    }
}
