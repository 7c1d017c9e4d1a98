//! What follows from a step: which deliveries are made, and when the service checks again.

mod actions;
mod checks;
mod deliveries;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{
    Action, Event, JobId, NewCheck, Report, State, Timestamp, Trigger, Way, limits,
    rollup::FirstFault,
};
use jobtracker_store::{Cause, DeliveryRow, FollowUp, FollowUpKey, Watch};

use super::{Became, Said, Stir};
use crate::{Error, Result, follow_up::FollowUpChange, workspace::Workspace};

/// The event that a delivery reports.
struct Told<'a> {
    time: Timestamp,
    /// The job whose own change caused the event.
    source: JobId,
    message: Option<&'a str>,
    cause: Cause,
    /// Set if the event is silence.
    quiet_since: Option<Timestamp>,
}

/// The messages of an operation's own changes, by job and number.
type Words<'a> = HashMap<(JobId, u32), Option<&'a str>>;

impl<'a> Told<'a> {
    /// A job reached a state now because of that report. For Faulted the earliest report counts,
    /// which may be long past.
    fn became(
        space: &Workspace,
        Became { id, state, cause }: Became,
        words: &Words<'a>,
        now: Timestamp,
    ) -> Self {
        let told = Self::found(space, id, now);
        if state == State::Faulted && told.cause != Cause::Told {
            return told.with_words(words);
        }
        Self { source: cause.job, cause: Cause::At(cause), ..told }.with_words(words)
    }

    /// What a check finds at a job. Only a failed job has a cause of its own.
    fn found(space: &Workspace, id: JobId, now: Timestamp) -> Self {
        let status = space.status(id).filter(|status| status.state == State::Faulted);
        let (source, cause) = match status.map(|status| status.first_fault) {
            Some(FirstFault::At(report)) => (report.job, Cause::At(report)),
            Some(FirstFault::None | FirstFault::Unknown) => (id, Cause::Below),
            None => (id, Cause::Told),
        };
        Self { time: now, source, message: None, cause, quiet_since: None }
    }

    /// Adds the message of the report, if the report is part of this operation.
    fn with_words(self, words: &Words<'a>) -> Self {
        let Cause::At(Report { time, job, change }) = self.cause else { return self };
        match words.get(&(job, change)) {
            Some(message) if time == self.time => {
                Self { message: *message, cause: Cause::Told, ..self }
            }
            Some(message) => Self { message: *message, ..self },
            None => self,
        }
    }
}

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

/// Adds deliveries of a job; answers how many, which is fewer at the job's limit of deliveries.
fn tell(space: &mut Workspace, id: JobId, told: Vec<(Trigger, Way)>, what: &Told<'_>) -> u32 {
    let (Some(watch), Some(status), Some(origin)) =
        (space.watch(id), space.status(id), space.origin(id))
    else {
        return 0;
    };
    let mut watch = watch.clone();
    let event = Event {
        time: what.time,
        state: status.state,
        message: what.message.map(Event::message),
        root: origin.root,
        source: what.source,
        children: status.children,
        subtree: status.subtree,
        quiet_since: what.quiet_since,
    };
    let before = (watch.deliveries, watch.lost);
    for (trigger, way) in told {
        let most = match trigger {
            Trigger::Action(_) => limits::DELIVERIES,
            Trigger::CheckPassed(_) | Trigger::CheckFailed(_) => limits::DELIVERIES_OF_CHECKS,
        };
        if watch.deliveries >= most {
            watch.lost = watch.lost.saturating_add(1);
            space.lost += 1;
            continue;
        }
        let row = DeliveryRow::new(trigger, way, event.clone());
        let row = DeliveryRow { cause: what.cause, ..row };
        let key = FollowUpKey::Delivery(watch.deliveries);
        space.set_follow_up(id, key, FollowUp::Delivery(row));
        watch.deliveries += 1;
    }
    let added = watch.deliveries - before.0;
    if before != (watch.deliveries, watch.lost) {
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

/// Notes that a job has follow-ups from now on; answers what is known of them.
pub(super) fn begin(space: &mut Workspace, id: JobId) -> Watch {
    if let Some(watch) = space.watch(id) {
        return watch.clone();
    }
    if let Some(node) = space.change(id) {
        node.status.flags.followed = true;
    }
    Watch::default()
}
