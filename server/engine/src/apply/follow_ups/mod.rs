//! What follows from a step: which deliveries are made, and when the service checks again.

mod actions;
mod checks;
mod deliveries;

use std::{collections::HashSet, sync::Arc};

use jobtracker_model::{Action, JobId, NewCheck, Timestamp, Trigger};
use jobtracker_store::{FollowUp, FollowUpKey, Watch};

use deliveries::{Told, Words, tell};

use super::{
    roll_up::Became,
    stir::{Said, Stir},
};
use crate::{Error, Result, operation::FollowUpChange, workspace::Workspace};

/// Fires the actions that name a state which their job reached.
pub(super) fn fire(space: &mut Workspace, became: &[Became], stirs: &[Stir<'_>], now: Timestamp) {
    let mut words = None;
    for one in became {
        let Became { id, state, .. } = *one;
        let Some(watch) = space.watch(id) else { continue };
        let named = (0..).zip(&watch.actions).filter(|(_, action)| action.states.contains(state));
        let told: Vec<_> = named
            .flat_map(|(number, action)| {
                action.ways.each().map(move |way| (Trigger::Action(number), way))
            })
            .collect();
        if told.is_empty() {
            continue;
        }
        let words = words.get_or_insert_with(|| said(stirs));
        let what = Told::became(space, *one, words, now);
        tell(space, id, told, &what);
    }
}

fn said<'a>(stirs: &[Stir<'a>]) -> Words<'a> {
    let of =
        |stir: &Stir<'a>| stir.said.map(|Said { change, message }| ((stir.id, change), message));
    stirs.iter().filter_map(of).collect()
}

/// Notes that something has happened, for the silence checks of these jobs and of those above.
pub(super) fn touch(space: &mut Workspace, stirs: &[Stir<'_>], now: Timestamp) {
    let mut touched = HashSet::new();
    for stir in stirs {
        let path = space.path(stir.id);
        let waiting: Vec<_> = path
            .filter(|id| space.watch(*id).is_some_and(|watch| watch.silences > 0))
            .filter(|id| touched.insert(*id))
            .collect();
        for id in waiting {
            let Some(watch) = space.watch(id) else { continue };
            let watch = Watch { active: Some(now), ..watch.clone() };
            space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
        }
    }
}

/// Gives a new job its actions and checks.
pub(super) fn install(
    space: &mut Workspace,
    id: JobId,
    actions: &[Arc<Action>],
    checks: &[Arc<NewCheck>],
    now: Timestamp,
) {
    for action in actions {
        actions::push(space, id, action);
    }
    for check in checks {
        checks::push(space, id, check, now);
    }
}

/// Applies a change to the follow-ups of a job.
pub(super) fn apply(
    space: &mut Workspace,
    id: JobId,
    change: &FollowUpChange,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    if space.status(id).is_none() {
        return Err(Error::JobNotFound(id));
    }
    match change {
        FollowUpChange::AddAction(action) => actions::add(space, id, action),
        FollowUpChange::AddCheck(check) => checks::add(space, id, check, now),
        FollowUpChange::CancelCheck(number) => checks::cancel(space, id, *number, now),
        FollowUpChange::MakeCheck { number, look } => checks::make(space, id, *number, look, now),
        FollowUpChange::Settle { number, tried, attempt, progress } => {
            deliveries::settle(space, id, *number, *tried, (attempt, *progress))
        }
        FollowUpChange::Replay { number, failed } => {
            deliveries::replay(space, id, *number, *failed, now)
        }
        FollowUpChange::CancelDelivery(number) => deliveries::cancel(space, id, *number, now),
    }
}
