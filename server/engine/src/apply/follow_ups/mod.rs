//! What follows from a step: who is told, and when somebody looks again.

mod actions;
mod checks;
mod deliveries;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{Action, Event, JobId, NewCheck, Timestamp, Trigger, Way, limits};
use jobtracker_store::{DeliveryRow, FollowUp, FollowUpKey, Watch};

use super::{Became, Stir};
use crate::{Error, Result, follow_up::FollowUpChange, workspace::Workspace};

/// What is told of.
struct Cause<'a> {
    /// The job whose own change it was.
    source: JobId,
    time: Timestamp,
    message: Option<&'a str>,
    /// Set if it is silence.
    quiet_since: Option<Timestamp>,
}

/// Fires the actions that name a state which their job became.
pub(super) fn fire(space: &mut Workspace, became: &[Became], stirs: &[Stir<'_>], now: Timestamp) {
    let mut causes = None;
    for Became { id, state } in became {
        let Some(watch) = space.watch(*id) else { continue };
        let named = (0..).zip(&watch.actions).filter(|(_, action)| action.states.contains(*state));
        let told: Vec<_> = named
            .flat_map(|(number, action)| {
                action.ways.each().map(move |way| (Trigger::Action(number), way))
            })
            .collect();
        if told.is_empty() {
            continue;
        }
        let causes = causes.get_or_insert_with(|| last_stirs(space, stirs));
        let Stir { id: source, message } =
            causes.get(id).copied().unwrap_or(Stir { id: *id, message: None });
        tell(space, *id, told, &Cause { source, time: now, message, quiet_since: None });
    }
}

/// The last thing that took effect at each job or below it.
fn last_stirs<'a>(space: &Workspace, stirs: &[Stir<'a>]) -> HashMap<JobId, Stir<'a>> {
    let mut last = HashMap::new();
    for stir in stirs {
        last.extend(space.path(stir.id).map(|id| (id, *stir)));
    }
    last
}

/// Notes that something has happened, for those who wait for silence at these jobs or above.
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

/// Adds deliveries of a job; answers how many, which is fewer when it has as many as it may have.
fn tell(space: &mut Workspace, id: JobId, told: Vec<(Trigger, Way)>, cause: &Cause<'_>) -> u32 {
    let (Some(watch), Some(status), Some(origin)) =
        (space.watch(id), space.status(id), space.origin(id))
    else {
        return 0;
    };
    let mut watch = watch.clone();
    let event = Event {
        time: cause.time,
        state: status.state,
        message: cause.message.map(Event::message),
        root: origin.root,
        source: cause.source,
        children: status.children,
        subtree: status.subtree,
        quiet_since: cause.quiet_since,
    };
    let before = watch.deliveries;
    for (trigger, way) in told {
        let most = match trigger {
            Trigger::Action(_) => limits::DELIVERIES,
            Trigger::CheckPassed(_) | Trigger::CheckFailed(_) => limits::DELIVERIES_OF_CHECKS,
        };
        if watch.deliveries >= most {
            tracing::warn!(job = %id, ?trigger, most, "too many deliveries: nobody is told");
            continue;
        }
        let row = DeliveryRow::new(trigger, way, event.clone());
        let key = FollowUpKey::Delivery(watch.deliveries);
        space.set_follow_up(id, key, FollowUp::Delivery(row));
        watch.deliveries += 1;
    }
    let added = watch.deliveries - before;
    if added > 0 {
        space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
    }
    added
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
        FollowUpChange::Settle { number, tried, attempt, progress } => {
            deliveries::settle(space, id, *number, *tried, (attempt, *progress))
        }
        FollowUpChange::Replay { number, failed } => {
            deliveries::replay(space, id, *number, *failed, now)
        }
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
