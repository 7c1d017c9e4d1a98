use std::sync::Arc;

use jobtracker_model::{Action, NewCheck, State, Ways};

/// What a job's creator wants done when its state changes, and when the time comes.
#[derive(Debug, PartialEq)]
pub(crate) struct FollowUps {
    pub actions: Vec<Action>,
    pub checks: Vec<NewCheck>,
    /// How many deliveries each action makes when it fires: those that the service counts.
    deliveries: Vec<usize>,
    /// The most that it makes in one state.
    pub most_deliveries: usize,
}

impl FollowUps {
    /// None if there is neither action nor check, as with most jobs.
    pub fn of(actions: Vec<Action>, checks: Vec<NewCheck>) -> Option<Arc<Self>> {
        if actions.is_empty() && checks.is_empty() {
            return None;
        }
        let deliveries = actions.iter().map(|action| Ways::from(&action.target).count()).collect();
        let mut these = Self { actions, checks, deliveries, most_deliveries: 0 };
        these.most_deliveries =
            State::ALL.iter().map(|state| these.deliveries(*state)).max().unwrap_or(0);
        Some(Arc::new(these))
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let actions = self.actions.iter().map(|action| size_of::<Action>() + action.bytes());
        let checks = self.checks.iter().map(|check| size_of::<NewCheck>() + check.bytes());
        size_of::<Self>() + actions.chain(checks).sum::<usize>()
    }

    /// How much the service holds for the checks while they come in.
    pub fn upcoming_checks(&self) -> Upcoming {
        let texts = self.checks.iter().map(NewCheck::bytes).sum();
        Upcoming { rows: self.checks.len(), texts }
    }

    /// How many deliveries it makes when the job becomes visible in this state. Being created makes
    /// none.
    pub fn deliveries(&self, state: State) -> usize {
        if state == State::WaitingToRun {
            return 0;
        }
        let named = self.actions.iter().zip(&self.deliveries);
        let named = named.filter(|(action, _)| action.states.contains(state));
        named.map(|(_, deliveries)| deliveries).sum()
    }
}

/// What follows from the states of new jobs when they become visible, or later.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Upcoming {
    /// Checks and deliveries.
    pub rows: usize,
    /// In the texts of the checks, in bytes.
    pub texts: usize,
}

impl Upcoming {
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.texts += other.texts;
    }

    /// A job that made `before` deliveries makes `after` now.
    pub fn replace(&mut self, before: usize, after: usize) {
        self.rows = (self.rows + after).saturating_sub(before);
    }
}
