use std::sync::Arc;

use jobtracker_model::{Action, JobId, limits};
use jobtracker_store::{FollowUp, FollowUpKey, Watched};

use crate::{Error, Result, workspace::Workspace};

/// Adds an action. If the job has the same action already, that one is the answer.
pub(super) fn add(
    space: &mut Workspace,
    id: JobId,
    action: &Arc<Action>,
) -> Result<(FollowUpKey, bool)> {
    let count = space.watch(id).map_or(0, |watch| watch.actions.len());
    let there = (0..count as u32).map(FollowUpKey::Action).find(
        |key| matches!(space.follow_up(id, *key), Some(FollowUp::Action(other)) if other == action),
    );
    if let Some(key) = there {
        return Ok((key, false));
    }
    // The action must not wait for a state that the job has reached already.
    if let Some(state) = space.status(id).map(|status| status.state)
        && state.is_finished()
        && action.states.contains(state)
    {
        return Err(Error::AlreadyInState { id, state });
    }
    if count >= limits::ACTIONS {
        return Err(Error::TooManyActions(id));
    }
    Ok((push(space, id, action), true))
}

pub(super) fn push(space: &mut Workspace, id: JobId, action: &Arc<Action>) -> FollowUpKey {
    let mut watch = space.begin_watch(id);
    let key = FollowUpKey::Action(watch.actions.len() as u32);
    watch.actions.push(Watched::from(&**action));
    space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
    space.set_follow_up(id, key, FollowUp::Action(Arc::clone(action)));
    key
}
