use jobtracker_model::{Change, JobId, NewChange, Updated, rollup::Status};

use super::{
    roll_up::{Became, climb},
    rules::Rules,
};
use crate::{Error, Result, workspace::Workspace};

/// Appends a state change that the job takes.
pub(super) fn append(
    space: &mut Workspace,
    id: JobId,
    change: &NewChange,
    rules: Rules,
    became: &mut Vec<Became>,
) -> Result<Updated> {
    let status = space.status(id).ok_or(Error::JobNotFound(id))?;
    let number = status.changes;
    check_room(id, status, change)?;
    space.append_change(id, number, Change::recorded(change.clone(), rules.now));
    let node = space.change(id).expect("its status was there");
    let delta = node.status.report(id, change.state, rules.now);
    let (parent, changes) = (node.origin.parent, node.status.changes);
    climb(space, parent, delta, became);
    Ok(Updated { applied: true, repeated: false, state: delta.after, changes })
}

fn check_room(id: JobId, status: &Status, change: &NewChange) -> Result<()> {
    let has_room = change.state.has_room_after(status.changes);
    has_room.then_some(()).ok_or(Error::TooManyChanges(id))
}
