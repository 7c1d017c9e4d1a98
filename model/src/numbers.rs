use serde::{Deserialize, Serialize};

use crate::{Category, State};

/// How many direct children a job has, by the category of their visible state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Children {
    /// Not finished.
    pub pending: u64,
    /// Finished well.
    pub successful: u64,
    /// Finished badly.
    pub failed: u64,
}

impl Children {
    /// Adds differences that come from below.
    pub(crate) fn add(&mut self, delta: &ChildrenDelta) {
        for (number, difference) in [
            (&mut self.pending, delta.pending),
            (&mut self.successful, delta.successful),
            (&mut self.failed, delta.failed),
        ] {
            *number = number.checked_add_signed(difference).expect("numbers of children are exact");
        }
    }

    /// Whether no number would fall below zero.
    pub(crate) fn can_add(&self, delta: &ChildrenDelta) -> bool {
        let pairs = [
            (self.pending, delta.pending),
            (self.successful, delta.successful),
            (self.failed, delta.failed),
        ];
        pairs.iter().all(|(number, difference)| number.checked_add_signed(*difference).is_some())
    }
}

/// Differences to the numbers of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct ChildrenDelta {
    pending: i64,
    successful: i64,
    failed: i64,
}

impl ChildrenDelta {
    /// Moves one child from one category to another; `None` is a child that is new.
    pub(crate) fn shift(&mut self, before: Option<Category>, after: Option<Category>) {
        if let Some(before) = before {
            *self.of(before) -= 1;
        }
        if let Some(after) = after {
            *self.of(after) += 1;
        }
    }

    fn of(&mut self, category: Category) -> &mut i64 {
        match category {
            Category::Pending => &mut self.pending,
            Category::Successful => &mut self.successful,
            Category::Failed => &mut self.failed,
        }
    }
}

/// How many descendants a job has (itself not counted), by visible state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subtree {
    /// All of them.
    pub total: u64,
    /// WaitingToRun.
    pub waiting: u64,
    /// Running or Warning.
    pub running: u64,
    /// WaitingForChildrenToComplete.
    pub waiting_for_children: u64,
    /// RanToCompletion.
    pub successful: u64,
    /// Faulted.
    pub failed: u64,
}

impl Subtree {
    /// How many descendants are not finished.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.waiting + self.running + self.waiting_for_children
    }

    /// How many descendants could be in one of these states; an upper bound, since Running and
    /// Warning are counted together.
    #[must_use]
    pub fn at_most(&self, states: crate::StateSet) -> u64 {
        let any = |wanted: &[State]| wanted.iter().any(|state| states.contains(*state));
        let count = |wanted: &[State], number: u64| if any(wanted) { number } else { 0 };
        count(&[State::WaitingToRun], self.waiting)
            + count(&[State::Running, State::Warning], self.running)
            + count(&[State::WaitingForChildrenToComplete], self.waiting_for_children)
            + count(&[State::RanToCompletion], self.successful)
            + count(&[State::Faulted], self.failed)
    }

    /// Adds differences that come up from below.
    pub(crate) fn add(&mut self, delta: &Delta) {
        for (number, difference) in [
            (&mut self.total, delta.total),
            (&mut self.waiting, delta.waiting),
            (&mut self.running, delta.running),
            (&mut self.waiting_for_children, delta.waiting_for_children),
            (&mut self.successful, delta.successful),
            (&mut self.failed, delta.failed),
        ] {
            *number =
                number.checked_add_signed(difference).expect("numbers of a subtree are exact");
        }
    }

    /// Whether no number would fall below zero.
    pub(crate) fn can_add(&self, delta: &Delta) -> bool {
        let pairs = [
            (self.total, delta.total),
            (self.waiting, delta.waiting),
            (self.running, delta.running),
            (self.waiting_for_children, delta.waiting_for_children),
            (self.successful, delta.successful),
            (self.failed, delta.failed),
        ];
        pairs.iter().all(|(number, difference)| number.checked_add_signed(*difference).is_some())
    }
}

/// Differences to subtree numbers on their way up to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Delta {
    total: i64,
    waiting: i64,
    running: i64,
    waiting_for_children: i64,
    successful: i64,
    failed: i64,
}

impl Delta {
    /// Everything that is below a new job.
    pub(crate) fn of_all(numbers: &Subtree) -> Self {
        let Subtree { total, waiting, running, waiting_for_children, successful, failed } =
            *numbers;
        Self {
            total: total.cast_signed(),
            waiting: waiting.cast_signed(),
            running: running.cast_signed(),
            waiting_for_children: waiting_for_children.cast_signed(),
            successful: successful.cast_signed(),
            failed: failed.cast_signed(),
        }
    }

    /// Takes a descendant out of one state and puts it into another; `None` is one that is new.
    pub(crate) fn shift(&mut self, before: Option<State>, after: State) {
        match before {
            Some(before) => *self.of(before) -= 1,
            None => self.total += 1,
        }
        *self.of(after) += 1;
    }

    /// Adds other differences.
    pub(crate) fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.waiting += other.waiting;
        self.running += other.running;
        self.waiting_for_children += other.waiting_for_children;
        self.successful += other.successful;
        self.failed += other.failed;
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn of(&mut self, state: State) -> &mut i64 {
        match state {
            State::WaitingForActivation | State::WaitingToRun => &mut self.waiting,
            State::Running | State::Warning => &mut self.running,
            State::WaitingForChildrenToComplete => &mut self.waiting_for_children,
            State::RanToCompletion => &mut self.successful,
            State::Faulted => &mut self.failed,
        }
    }
}
