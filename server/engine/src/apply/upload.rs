use std::collections::HashMap;

use jobtracker_model::{
    JobId, NewLogLines, Report, State, Timestamp, limits,
    upload::{BlockedChange, TreeResult},
};
use jobtracker_store::TreeResultRow;

use super::{
    log, options,
    roll_up::{Became, climb},
    rules::Rules,
    stir::{Stir, reported},
    tasks, update,
};
use crate::{
    Error, Result,
    upload::{Step, UploadTree, What},
    workspace::Workspace,
};

/// Applies a tree of an upload, whole or not at all, unless it was applied before.
pub(super) fn apply<'a>(
    space: &mut Workspace,
    tree: &'a UploadTree,
    rules: Rules,
    became: &mut Vec<Became>,
    stirs: &mut Vec<Stir<'a>>,
) -> Result<TreeResult> {
    if let Some(done) = space.tree_result(tree.commit(), tree.root) {
        let same = done.checksum == tree.checksum;
        let tree_result = || done.tree_result.clone();
        return same.then(tree_result).ok_or_else(|| Error::CommitConflict(tree.commit().clone()));
    }
    space.check_not_deleted(tree.root)?;
    if tree.stage.is_some() && space.publishes(tree.root) {
        return Err(Error::Contention(tree.root));
    }
    if let Some(id) = tree.created().find(|id| space.origin(*id).is_some()) {
        return Err(Error::IdConflict(id));
    }
    for step in tree.steps.iter().filter(|step| matches!(step.what, What::Report { .. })) {
        let may_report = tasks::check_reporter(space, step.id);
        may_report.map_err(|error| error.at(step.position))?;
    }
    let (jobs, changes) = (tree.jobs, tree.changes);
    let mut tree_result = TreeResult { jobs, changes, ..TreeResult::new(tree.root) };
    // Existing jobs change in a fork of the workspace, so that an error leaves nothing behind.
    let mut fork = space.fork(&tree.steps);
    let mut on_the_way = Vec::new();
    for step in &tree.steps {
        let stir = take_step(&mut fork, step, rules, &mut tree_result, &mut on_the_way);
        stirs.extend(stir.map_err(|error| error.at(step.position))?);
    }
    // The last own change that moved a job caused the state in which the job ends.
    let causes: HashMap<JobId, Report> =
        on_the_way.into_iter().map(|Became { id, cause, .. }| (id, cause)).collect();
    became.extend(fork.changed_states().map(|(id, state)| {
        let cause = *causes.get(&id).expect("a state changes by a step");
        Became { id, state, cause }
    }));
    space.merge(fork);
    space.graft(tree, rules.now);
    let (checksum, time) = (tree.checksum, tree.received);
    space.decide(tree.commit(), TreeResultRow { tree_result: tree_result.clone(), checksum, time });
    Ok(tree_result)
}

/// Applies a step to an existing job. States that the job passes through on the way are never
/// visible, so no follow-up is fired for them. Answers what took effect.
fn take_step<'a>(
    space: &mut Workspace,
    step: &'a Step,
    rules: Rules,
    tree_result: &mut TreeResult,
    on_the_way: &mut Vec<Became>,
) -> Result<Option<Stir<'a>>> {
    let id = step.id;
    let at = |time: Timestamp| Rules { now: time, ..rules };
    match &step.what {
        What::Report { change, time } => {
            let updated = update::apply(space, id, change, at(*time), on_the_way)?;
            match (updated.applied, updated.repeated) {
                (_, true) => {
                    tree_result.repeated += 1;
                    return Ok(None);
                }
                (false, false) => {
                    block(tree_result, step.position, id, updated.state);
                    return Ok(None);
                }
                (true, false) => tree_result.changes += 1,
            }
            return Ok(Some(reported(space, id, change)));
        }
        What::Growth(growth) => {
            let node = space.change(id).ok_or(Error::JobNotFound(id))?;
            let parent = node.origin.parent;
            if let Some(delta) = node.status.grow(id, growth) {
                climb(space, parent, delta, on_the_way);
            }
        }
        What::Options(text) => {
            options::apply(space, id, text.as_deref())?;
            return Ok(None);
        }
        What::Line { time, text } => {
            let lines = NewLogLines { lines: vec![text.clone()], append_id: None };
            log::apply(space, id, &lines, None, at(*time))?;
        }
    }
    Ok(Some(Stir { id, said: None }))
}

fn block(tree_result: &mut TreeResult, position: u64, job: JobId, state: State) {
    tree_result.blocked += 1;
    if tree_result.blocked_changes.len() < limits::RESULTS_SHOWN {
        tree_result.blocked_changes.push(BlockedChange { position, job, state });
    }
}
