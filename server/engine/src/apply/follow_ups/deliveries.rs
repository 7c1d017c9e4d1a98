use std::collections::HashMap;

use jobtracker_model::{
    Attempt, DeliveryId, Event, JobId, Progress, Report, State, Timestamp, Trigger, Way, limits,
    rollup::FirstFault,
};
use jobtracker_store::{Cause, DeliveryRow, FollowUp, FollowUpKey};

use crate::{Error, Result, apply::Became, operation::Tried, workspace::Workspace};

/// The event that a delivery reports.
pub(super) struct Told<'a> {
    pub time: Timestamp,
    /// The job whose own change caused the event.
    pub source: JobId,
    pub message: Option<&'a str>,
    pub cause: Cause,
    /// Set if the event is silence.
    pub quiet_since: Option<Timestamp>,
}

/// The messages of an operation's own changes, by job and number.
pub(super) type Words<'a> = HashMap<(JobId, u32), Option<&'a str>>;

impl<'a> Told<'a> {
    /// A job reached a state now because of that report. For Faulted the earliest report counts,
    /// which may be long past.
    pub fn became(
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
    pub fn found(space: &Workspace, id: JobId, now: Timestamp) -> Self {
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

/// Adds deliveries of a job; answers how many, which is fewer at the job's limit of deliveries.
pub(super) fn tell(
    space: &mut Workspace,
    id: JobId,
    told: Vec<(Trigger, Way)>,
    what: &Told<'_>,
) -> u32 {
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

fn find(space: &Workspace, id: JobId, number: u32) -> Result<DeliveryRow> {
    match space.follow_up(id, FollowUpKey::Delivery(number)) {
        Some(FollowUp::Delivery(row)) => Ok(row.clone()),
        _ => Err(Error::DeliveryNotFound(DeliveryId { job: id, number })),
    }
}

/// Notes a try to deliver. If another try was noted meanwhile, or a caller has cancelled the
/// delivery or requested it again, the outcome is noted only if the delivery was received.
pub(super) fn settle(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    tried: Tried,
    (attempt, progress): (&Attempt, Progress),
) -> Result<(FollowUpKey, bool)> {
    let row = find(space, id, number)?;
    let key = FollowUpKey::Delivery(number);
    let is_same = row.attempts == tried.attempts && row.progress == Progress::Waiting(tried.due);
    let waits = matches!(row.progress, Progress::Waiting(_));
    let received = waits && matches!(progress, Progress::Delivered(_));
    if !is_same && !received {
        return Ok((key, false));
    }
    let (attempts, last) = (row.attempts + 1, Some(attempt.clone()));
    let row = DeliveryRow { progress, attempts, last, ..row };
    space.set_follow_up(id, key, FollowUp::Delivery(row));
    Ok((key, true))
}

/// Schedules another try at once, with the whole retry schedule ahead; if a time is given, only if
/// the delivery failed at that time.
pub(super) fn replay(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    failed: Option<Timestamp>,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    let row = find(space, id, number)?;
    if failed.is_some_and(|failed| row.progress != Progress::Failed(failed)) {
        return Ok((FollowUpKey::Delivery(number), false));
    }
    let (progress, earlier) = (Progress::Waiting(now), row.attempts);
    let key = FollowUpKey::Delivery(number);
    let row = DeliveryRow { progress, earlier, ..row };
    space.set_follow_up(id, key, FollowUp::Delivery(row));
    Ok((key, true))
}

pub(super) fn cancel(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    let row = find(space, id, number)?;
    let key = FollowUpKey::Delivery(number);
    match row.progress {
        Progress::Cancelled(_) => return Ok((key, false)),
        Progress::Delivered(_) => {
            return Err(Error::DeliveryIsOver(DeliveryId { job: id, number }));
        }
        Progress::Waiting(_) | Progress::Failed(_) => {}
    }
    let row = DeliveryRow { progress: Progress::Cancelled(now), ..row };
    space.set_follow_up(id, key, FollowUp::Delivery(row));
    Ok((key, true))
}
