//! What follows from a step: who is told, and when somebody looks again.

mod actions;
mod checks;
mod deliveries;

use std::sync::Arc;

use jobtracker_model::{Action, Channel, Event, JobId, Lane, NewCheck, Timestamp, Trigger, limits};
use jobtracker_store::{DeliveryRow, FollowUp, FollowUpKey, Watch};

use super::Became;
use crate::{Error, Result, follow_up::FollowUpChange, workspace::Workspace};

/// How and where somebody is told.
type Way = (Channel, Lane);

/// What made jobs become other states.
pub(super) struct Cause<'a> {
    /// The job whose own change it was.
    pub source: JobId,
    pub time: Timestamp,
    pub message: Option<&'a str>,
    /// Set if it is silence.
    pub quiet_since: Option<Timestamp>,
}

/// Fires the actions that name a state which their job became.
pub(super) fn fire(space: &mut Workspace, became: &[Became], cause: &Cause<'_>) {
    for Became { id, state } in became {
        let Some(watch) = space.watch(*id) else { continue };
        let named = (0..).zip(&watch.actions).filter(|(_, action)| action.states.contains(*state));
        let told: Vec<_> = named
            .flat_map(|(number, action)| {
                action.ways.each().map(move |way| (Trigger::Action(number), way))
            })
            .collect();
        tell(space, *id, told, cause);
    }
}

/// Notes that something has happened at a job, for those who wait for silence there or above.
pub(super) fn touch(space: &mut Workspace, id: JobId, now: Timestamp) {
    let mut next = Some(id);
    while let Some(id) = next {
        if let Some(watch) = space.watch(id).filter(|watch| watch.silences > 0) {
            let watch = Watch { active: Some(now), ..watch.clone() };
            space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
        }
        next = space.origin(id).and_then(|origin| origin.parent);
    }
}

/// Adds deliveries of a job.
fn tell(space: &mut Workspace, id: JobId, told: Vec<(Trigger, Way)>, cause: &Cause<'_>) {
    let (Some(watch), Some(status)) = (space.watch(id), space.status(id)) else { return };
    let mut watch = watch.clone();
    let event = Event {
        time: cause.time,
        state: status.state,
        message: cause.message.map(str::to_owned),
        source: cause.source,
        children: status.children,
        subtree: status.subtree,
        quiet_since: cause.quiet_since,
    };
    for (trigger, way) in told {
        if watch.deliveries >= limits::DELIVERIES {
            break;
        }
        let row = DeliveryRow::new(trigger, way, event.clone());
        let key = FollowUpKey::Delivery(watch.deliveries);
        space.set_follow_up(id, key, FollowUp::Delivery(row));
        watch.deliveries += 1;
    }
    space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
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

/// Does what is to be done to the follow-ups of a job.
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
        FollowUpChange::MakeCheck { number, due, holds } => {
            checks::make(space, id, *number, (*due, *holds), now)
        }
        FollowUpChange::Settle { number, attempts, attempt, progress } => {
            deliveries::settle(space, id, *number, *attempts, (attempt, *progress))
        }
        FollowUpChange::Replay(number) => deliveries::replay(space, id, *number, now),
        FollowUpChange::CancelDelivery(number) => deliveries::cancel(space, id, *number, now),
    }
}

/// Notes that a job has follow-ups from now on; what is known of them so far.
fn begin(space: &mut Workspace, id: JobId) -> Watch {
    if let Some(watch) = space.watch(id) {
        return watch.clone();
    }
    if let Some(node) = space.change(id) {
        node.status.flags.followed = true;
    }
    Watch::default()
}
