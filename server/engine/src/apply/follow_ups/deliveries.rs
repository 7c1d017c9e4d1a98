use jobtracker_model::{Attempt, DeliveryId, JobId, Progress, Timestamp};
use jobtracker_store::{DeliveryRow, FollowUp, FollowUpKey};

use crate::{Error, Result, follow_up::Tried, workspace::Workspace};

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
