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
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.pending + self.successful + self.failed
    }

    fn numbers(&mut self) -> [&mut u64; 3] {
        let Self { pending, successful, failed } = self;
        [pending, successful, failed]
    }

    /// Adds differences that come from below.
    pub(crate) fn add(&mut self, delta: &ChildrenDelta) {
        delta.add_to(self.numbers());
    }

    /// Whether no number would fall below zero.
    pub(crate) fn can_add(mut self, delta: &ChildrenDelta) -> bool {
        delta.can_add_to(self.numbers())
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

    /// Counts one job more, in this state.
    pub fn count(&mut self, state: State) {
        let mut delta = SubtreeDelta::default();
        delta.shift(None, state);
        self.add(&delta);
    }

    fn numbers(&mut self) -> [&mut u64; 6] {
        let Self { total, waiting, running, waiting_for_children, successful, failed } = self;
        [total, waiting, running, waiting_for_children, successful, failed]
    }

    /// Adds differences that come from below.
    pub(crate) fn add(&mut self, delta: &SubtreeDelta) {
        delta.add_to(self.numbers());
    }

    /// Whether no number would fall below zero.
    pub(crate) fn can_add(mut self, delta: &SubtreeDelta) -> bool {
        delta.can_add_to(self.numbers())
    }
}

/// Differences to numbers, each in the place that its number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delta<const N: usize>([i64; N]);

/// Differences to the numbers of children.
pub(crate) type ChildrenDelta = Delta<3>;
/// Differences to subtree numbers on their way up to the root.
pub(crate) type SubtreeDelta = Delta<6>;

impl<const N: usize> Delta<N> {
    fn add_to(&self, numbers: [&mut u64; N]) {
        for (number, difference) in numbers.into_iter().zip(self.0) {
            *number = number.checked_add_signed(difference).expect("numbers of jobs are exact");
        }
    }

    fn can_add_to(&self, numbers: [&mut u64; N]) -> bool {
        let mut pairs = numbers.into_iter().zip(self.0);
        pairs.all(|(number, difference)| number.checked_add_signed(difference).is_some())
    }

    /// Adds other differences.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(number, difference)| *number += difference);
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl<const N: usize> Default for Delta<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl ChildrenDelta {
    /// Moves one child from one category to another; `None` is a child that is new.
    pub(crate) fn shift(&mut self, before: Option<Category>, after: Option<Category>) {
        if let Some(before) = before {
            self.0[Self::place(before)] -= 1;
        }
        if let Some(after) = after {
            self.0[Self::place(after)] += 1;
        }
    }

    fn place(category: Category) -> usize {
        match category {
            Category::Pending => 0,
            Category::Successful => 1,
            Category::Failed => 2,
        }
    }
}

impl SubtreeDelta {
    /// Everything that is below a new job.
    pub(crate) fn of_all(mut numbers: Subtree) -> Self {
        Self(numbers.numbers().map(|number| number.cast_signed()))
    }

    /// Takes a descendant out of one state and puts it into another; `None` is one that is new.
    pub(crate) fn shift(&mut self, before: Option<State>, after: State) {
        match before {
            Some(before) => self.0[Self::place(before)] -= 1,
            None => self.0[0] += 1,
        }
        self.0[Self::place(after)] += 1;
    }

    /// Behind the total.
    fn place(state: State) -> usize {
        match state {
            State::WaitingForActivation | State::WaitingToRun => 1,
            State::Running | State::Warning => 2,
            State::WaitingForChildrenToComplete => 3,
            State::RanToCompletion => 4,
            State::Faulted => 5,
        }
    }
}
