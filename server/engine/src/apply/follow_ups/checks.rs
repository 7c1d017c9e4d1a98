use std::{sync::Arc, time::Duration};

use jobtracker_model::{CheckKind, JobId, NewCheck, StateSet, Timestamp, Trigger, Ways, limits};
use jobtracker_store::{CheckProgress, CheckRow, FollowUp, FollowUpKey};

use super::deliveries::{Told, tell};
use crate::{Error, Result, operation::Look, workspace::Workspace};

/// Adds a check. If the job has the same check already, that one is the answer.
pub(super) fn add(
    space: &mut Workspace,
    id: JobId,
    check: &Arc<NewCheck>,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    let count = space.watch(id).map_or(0, |watch| watch.checks);
    let there = (0..count).map(FollowUpKey::Check).find(|key| {
        let row = space.follow_up(id, *key);
        matches!(row, Some(FollowUp::Check(row)) if row.check == *check && stands(row))
    });
    if let Some(key) = there {
        return Ok((key, false));
    }
    if count as usize >= limits::CHECKS_EVER {
        return Err(Error::TooManyChecks(id));
    }
    Ok((push(space, id, check, now), true))
}

/// Whether this check answers a request for the same check again. A cancelled check does not, nor
/// does a check for silence that has ended.
fn stands(row: &CheckRow) -> bool {
    match row.progress {
        CheckProgress::Waiting(_) => true,
        CheckProgress::Done { .. } => !matches!(row.check.kind, CheckKind::Silence { .. }),
        CheckProgress::Cancelled(_) => false,
    }
}

pub(super) fn push(
    space: &mut Workspace,
    id: JobId,
    check: &Arc<NewCheck>,
    now: Timestamp,
) -> FollowUpKey {
    let mut watch = space.begin_watch(id);
    let key = FollowUpKey::Check(watch.checks);
    watch.checks += 1;
    if matches!(check.kind, CheckKind::Silence { .. }) {
        watch.silences += 1;
        watch.active = watch.active.or(Some(now));
    }
    let row = CheckRow::new(Arc::clone(check), now);
    space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
    space.set_follow_up(id, key, FollowUp::Check(row));
    key
}

fn find(space: &Workspace, id: JobId, number: u32) -> Result<CheckRow> {
    match space.follow_up(id, FollowUpKey::Check(number)) {
        Some(FollowUp::Check(row)) => Ok(row.clone()),
        _ => Err(Error::CheckNotFound { id, number }),
    }
}

pub(super) fn cancel(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    let row = find(space, id, number)?;
    let key = FollowUpKey::Check(number);
    match row.progress {
        CheckProgress::Waiting(_) => {
            end(space, id, key, CheckRow { progress: CheckProgress::Cancelled(now), ..row });
            Ok((key, true))
        }
        CheckProgress::Cancelled(_) => Ok((key, false)),
        CheckProgress::Done { .. } => Err(Error::CheckIsOver { id, number }),
    }
}

/// Makes a check that was due at that time, unless it was made before.
pub(super) fn make(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    look: &Look,
    now: Timestamp,
) -> Result<(FollowUpKey, bool)> {
    let row = find(space, id, number)?;
    let key = FollowUpKey::Check(number);
    if row.progress != CheckProgress::Waiting(look.due) {
        return Ok((key, false));
    }
    let state = space.status(id).map(|status| status.state).ok_or(Error::JobNotFound(id))?;
    let passed = match &row.check.kind {
        CheckKind::State { states, .. } => states.contains(state),
        CheckKind::Subtree { .. } => look.holds.unwrap_or(false),
        CheckKind::Silence { quiet_ms } if !StateSet::FINISHED.contains(state) => {
            listen(space, id, number, (*quiet_ms, look), now)?;
            return Ok((key, true));
        }
        // The job is finished, so its silence is expected.
        CheckKind::Silence { .. } => true,
    };
    let told = tell_of(space, id, number, &row, (passed, None), now);
    let progress = CheckProgress::Done { time: now, passed, state };
    end(space, id, key, CheckRow { progress, told: row.told + told, ..row });
    Ok((key, true))
}

/// Adds deliveries if the job was silent, and sets the time of the next check. Time in which no
/// server was up does not count, since no report could arrive.
fn listen(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    (quiet_ms, look): (u64, &Look),
    now: Timestamp,
) -> Result<()> {
    let row = find(space, id, number)?;
    // Silence from before this check was requested does not count.
    let active = space.watch(id).and_then(|watch| watch.active);
    let active = active.map_or(row.created, |active| active.max(row.created));
    let quiet = Duration::from_millis(quiet_ms);
    // Silence that was reported is reported again after the same length of time.
    let since = match (row.told, row.last_told) {
        (0, _) => active,
        (_, Some(told)) => active.max(told),
        // An earlier version reported it, and did not store when.
        (_, None) => active.max(look.due.before(quiet)),
    };
    let due = look.outages.after(since, quiet);
    let row = if due > now {
        CheckRow { progress: CheckProgress::Waiting(due), ..row }
    } else {
        let told = tell_of(space, id, number, &row, (false, Some(active)), now);
        let progress = CheckProgress::Waiting(now.after(quiet));
        let last_told = if told > 0 { Some(now) } else { row.last_told };
        CheckRow { progress, told: row.told + told, last_told, ..row }
    };
    space.set_follow_up(id, FollowUpKey::Check(number), FollowUp::Check(row));
    Ok(())
}

/// Adds the deliveries of a check; answers 1 if there are any.
fn tell_of(
    space: &mut Workspace,
    id: JobId,
    number: u32,
    row: &CheckRow,
    (passed, quiet_since): (bool, Option<Timestamp>),
    now: Timestamp,
) -> u32 {
    let (target, trigger) = match passed {
        true => (&row.check.success, Trigger::CheckPassed(number)),
        false => (&row.check.failure, Trigger::CheckFailed(number)),
    };
    let Some(target) = target else { return 0 };
    let told = Ways::from(target).each().map(|way| (trigger, way));
    let what = Told { quiet_since, ..Told::found(space, id, now) };
    u32::from(tell(space, id, told.collect(), &what) > 0)
}

fn end(space: &mut Workspace, id: JobId, key: FollowUpKey, row: CheckRow) {
    if matches!(row.check.kind, CheckKind::Silence { .. })
        && let Some(watch) = space.watch(id)
    {
        let mut watch = watch.clone();
        watch.silences = watch.silences.saturating_sub(1);
        watch.active = watch.active.filter(|_| watch.silences > 0);
        space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
    }
    space.set_follow_up(id, key, FollowUp::Check(row));
}
