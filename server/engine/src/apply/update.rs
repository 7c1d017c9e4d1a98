use jobtracker_model::{JobId, NewChange, Repeat, Standing, Updated};
use jobtracker_store::RepeatRow;

use super::{change::append, roll_up::Became, rules::Rules, tasks};
use crate::{Error, Result, workspace::Workspace};

/// Appends a state change, unless the job is finished and such updates are blocked, or the same
/// change was applied before.
pub(super) fn apply(
    space: &mut Workspace,
    id: JobId,
    change: &NewChange,
    rules: Rules,
    became: &mut Vec<Became>,
) -> Result<Updated> {
    let status = space.status(id).ok_or(Error::JobNotFound(id))?;
    let (state, number) = (status.state, status.changes);
    let repeat = change.change_id.clone().map(Repeat::Change);
    let fingerprint = change.fingerprint();
    if let Some(done) = repeat.as_ref().and_then(|key| space.repeat(id, key)) {
        if done.fingerprint != fingerprint {
            let repeat = change.change_id.clone().unwrap_or_default();
            return Err(Error::RepeatConflict { id, repeat });
        }
        return Ok(Updated { applied: true, repeated: true, state, changes: number });
    }
    if !status.accepts_update(rules.block_updates_after_finish) {
        return Ok(Updated { applied: false, repeated: false, state, changes: number });
    }
    let stands = Standing::from(status);
    if change.expect.is_some_and(|expect| !expect.is_met(&stands)) {
        return Err(Error::UnexpectedState { id, stands });
    }
    tasks::check_reporter(space, id)?;
    let updated = append(space, id, change, rules, became)?;
    if let Some(key) = repeat {
        space.remember(id, key, RepeatRow { first: number, count: 1, fingerprint });
    }
    Ok(updated)
}
