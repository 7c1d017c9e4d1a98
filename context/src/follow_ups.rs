use std::sync::Arc;

use jobtracker_model::{Action, NewCheck, State};

/// What a job's creator wants done when its state changes, and when the time comes.
#[derive(Debug, PartialEq)]
pub(crate) struct FollowUps {
    pub actions: Vec<Action>,
    pub checks: Vec<NewCheck>,
}

impl FollowUps {
    /// None: there is nothing of it, as with most jobs.
    pub fn of(actions: Vec<Action>, checks: Vec<NewCheck>) -> Option<Arc<Self>> {
        let some = !actions.is_empty() || !checks.is_empty();
        some.then(|| Arc::new(Self { actions, checks }))
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
        let named = self.actions.iter().filter(|action| action.states.contains(state));
        let channels = named.map(|Action { target, .. }| {
            usize::from(target.http.is_some()) + usize::from(target.email.is_some())
        });
        channels.sum()
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

    /// A job that made so many deliveries makes so many others now.
    pub fn replace(&mut self, before: usize, after: usize) {
        self.rows = (self.rows + after).saturating_sub(before);
    }
}
