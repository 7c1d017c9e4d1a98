//! What an operation does to the rows: a pure function, whole or not at all, by the rules of the
//! model.

mod attachment;
mod change;
mod create;
mod delete;
mod follow_ups;
mod log;
mod options;
mod roll_up;
mod rules;
mod stir;
mod tasks;
mod update;
mod upload;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod full;

pub(crate) use roll_up::Became;
pub(crate) use rules::Rules;

use stir::{Stir, reported};

use crate::{
    Result,
    operation::{Operation, Outcome, TaskChange},
    workspace::Workspace,
};

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
                tasks::check_goes_on(space, *parent, holder.as_ref())?;
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
            let attempt = tasks::attempt_of(space, *id, holder.as_ref())?;
            let appended = log::apply(space, *id, lines, attempt, rules)?;
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
            let is_renewal =
                matches!(**change, TaskChange::Look { .. }) && changed.task.lease().is_some();
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
