//! What an operation does to the rows: a pure function, whole or not at all, by the rules of the
//! model.

mod attachment;
mod create;
mod delete;
mod follow_ups;
mod log;
mod options;
mod tasks;
mod update;
mod upload;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod full;

use jobtracker_model::{JobId, NewChange, Report, State, Timestamp, rollup::StatusDelta};

use crate::{
    Result,
    operation::{Operation, Outcome},
    workspace::Workspace,
};

/// What applying depends on besides the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub block_updates_after_finish: bool,
    /// The time at which the group is applied.
    pub now: Timestamp,
}

/// A job's visible state became another one. Follow-ups start from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Became {
    pub id: JobId,
    pub state: State,
    /// The own change, of this job or of one below it, that caused it.
    pub cause: Report,
}

/// An operation took effect at a job. That ends silence at the job and above.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stir<'a> {
    pub id: JobId,
    /// The own change, if it was one.
    pub said: Option<Said<'a>>,
}

/// What an own change said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// Its number.
    pub change: u32,
    pub message: Option<&'a str>,
}

/// Applies one operation. After an error the workspace is as it was before.
pub(crate) fn apply(
    space: &mut Workspace,
    operation: &Operation,
    rules: Rules,
    became: &mut Vec<Became>,
) -> Result<Outcome> {
    let mut stirs = Vec::new();
    let outcome = step(space, operation, rules, became, &mut stirs)?;
    follow_ups::fire(space, became, &stirs, rules.now);
    follow_ups::touch(space, &stirs, rules.now);
    Ok(outcome)
}

/// Applies the operation without its follow-ups.
fn step<'a>(
    space: &mut Workspace,
    operation: &'a Operation,
    rules: Rules,
    became: &mut Vec<Became>,
    stirs: &mut Vec<Stir<'a>>,
) -> Result<Outcome> {
    match operation {
        Operation::ReserveIds { .. } => unreachable!("ids are taken before a group is applied"),
        Operation::Create { parent, jobs, holder } => {
            if let Some(parent) = parent {
                tasks::check_holder(space, *parent, holder.as_ref())?;
            }
            let created = create::apply(space, *parent, jobs, rules, became)?;
            let first = created.iter().find(|job| job.created);
            stirs.extend(first.map(|job| Stir { id: job.id, said: None }));
            Ok(Outcome::Created(created))
        }
        Operation::Update { id, change } => {
            let updated = update::apply(space, *id, change, rules, became)?;
            if updated.applied && !updated.repeated {
                stirs.push(reported(space, *id, change));
            }
            Ok(Outcome::Updated(updated))
        }
        Operation::SetOptions { id, options } => {
            options::apply(space, *id, options.as_deref()).map(|()| Outcome::Done)
        }
        Operation::AppendLog { id, lines, holder } => {
            tasks::check_holder(space, *id, holder.as_ref())?;
            let appended = log::apply(space, *id, lines, rules)?;
            if !appended.repeated {
                stirs.push(Stir { id: *id, said: None });
            }
            Ok(Outcome::Appended(appended))
        }
        Operation::PutAttachment { id, key, text } => {
            attachment::put(space, *id, key, text).map(|new| Outcome::Attached { new })
        }
        Operation::DeleteAttachment { id, key } => {
            attachment::delete(space, *id, key).map(|()| Outcome::Done)
        }
        Operation::FollowUp { id, change } => {
            let done = follow_ups::apply(space, *id, change, rules.now);
            done.map(|(key, new)| Outcome::FollowedUp { key, new })
        }
        Operation::Task { id, change } => {
            let changed = tasks::apply(space, *id, change, rules, became)?;
            // A lease that goes on says that its worker lives, not that the job moves.
            let is_renewal = matches!(**change, crate::task::TaskChange::Look { .. })
                && changed.task.lease().is_some();
            if changed.done && !is_renewal {
                stirs.push(Stir { id: *id, said: None });
            }
            Ok(Outcome::Task(changed))
        }
        Operation::Delete(deletion) => {
            delete::apply(space, deletion, rules.now).map(Outcome::Deleted)
        }
        Operation::UploadTree(tree) => {
            let tree_result = upload::apply(space, tree, rules, became, stirs)?;
            Ok(Outcome::TreeResult(Box::new(tree_result)))
        }
    }
}

/// The change that has just been appended to a job.
fn reported<'a>(space: &Workspace, id: JobId, change: &'a NewChange) -> Stir<'a> {
    let number = space.status(id).map_or(0, |status| status.changes.saturating_sub(1));
    Stir { id, said: Some(Said { change: number, message: change.message.as_deref() }) }
}

/// Carries what happened at a job up to the root, as far as statuses change.
fn climb(
    space: &mut Workspace,
    parent: Option<JobId>,
    delta: StatusDelta,
    became: &mut Vec<Became>,
) {
    let of = |delta: &StatusDelta| {
        let (id, cause) = (delta.source, delta.cause);
        delta.became().map(|state| Became { id, state, cause })
    };
    became.extend(of(&delta));
    let mut up = parent.zip((!delta.is_still()).then_some(delta));
    while let Some((id, delta)) = up {
        let node = space.change(id).expect("a path is loaded up to its root");
        let next = node.status.absorb(id, &delta);
        let above = node.origin.parent;
        became.extend(next.as_ref().and_then(of));
        up = above.zip(next);
    }
}
