use std::collections::HashMap;

use jobtracker_model::{
    JobId, NewLogLines, Report, State, Timestamp,
    commit::{BlockedChange, TreeVerdict},
    limits,
};
use jobtracker_store::VerdictRow;

use super::{Became, Rules, Stir, climb, log, options, reported, update};
use crate::{
    Error, Result,
    flush::{Step, TreeFlush, What},
    workspace::Workspace,
};

/// Applies a tree of a commit, whole or not at all, unless that was done before.
pub(super) fn apply<'a>(
    space: &mut Workspace,
    tree: &'a TreeFlush,
    rules: Rules,
    became: &mut Vec<Became>,
    stirs: &mut Vec<Stir<'a>>,
) -> Result<TreeVerdict> {
    if let Some(done) = space.verdict(tree.commit(), tree.root) {
        let same = done.checksum == tree.checksum;
        let verdict = || done.verdict.clone();
        return same.then(verdict).ok_or_else(|| Error::CommitConflict(tree.commit().clone()));
    }
    if tree.stage.is_some() && space.adopts(tree.root) {
        return Err(Error::Contention(tree.root));
    }
    if let Some(id) = tree.created().find(|id| space.origin(*id).is_some()) {
        return Err(Error::IdConflict(id));
    }
    let (jobs, changes) = (tree.jobs, tree.changes);
    let mut verdict = TreeVerdict { jobs, changes, ..TreeVerdict::new(tree.root) };
    // What is there already changes on the side, so that an error leaves nothing behind.
    let mut aside = space.fork(&tree.steps);
    let mut on_the_way = Vec::new();
    for step in &tree.steps {
        let stir = take_step(&mut aside, step, rules, &mut verdict, &mut on_the_way);
        stirs.extend(stir.map_err(|error| error.at(step.position))?);
    }
    // What a job is in the end was caused by what made it that the last time.
    let causes: HashMap<JobId, Report> =
        on_the_way.into_iter().map(|Became { id, cause, .. }| (id, cause)).collect();
    became.extend(aside.changed_states().map(|(id, state)| {
        let cause = *causes.get(&id).expect("a state changes by a step");
        Became { id, state, cause }
    }));
    space.merge(aside);
    space.graft(tree, rules.now);
    let (checksum, time) = (tree.checksum, tree.received);
    space.decide(tree.commit(), VerdictRow { verdict: verdict.clone(), checksum, time });
    Ok(verdict)
}

/// What happens to a job that is there. States that it goes through on the way are never visible,
/// so nobody is told of them. Answers what took effect.
fn take_step<'a>(
    space: &mut Workspace,
    step: &'a Step,
    rules: Rules,
    verdict: &mut TreeVerdict,
    on_the_way: &mut Vec<Became>,
) -> Result<Option<Stir<'a>>> {
    let id = step.id;
    let at = |time: Timestamp| Rules { now: time, ..rules };
    match &step.what {
        What::Report { change, time } => {
            let updated = update::apply(space, id, change, at(*time), on_the_way)?;
            match (updated.applied, updated.repeated) {
                (_, true) => {
                    verdict.repeated += 1;
                    return Ok(None);
                }
                (false, false) => {
                    block(verdict, step.position, id, updated.state);
                    return Ok(None);
                }
                (true, false) => verdict.changes += 1,
            }
            return Ok(Some(reported(space, id, change)));
        }
        What::Growth(growth) => {
            let node = space.change(id).ok_or(Error::JobNotFound(id))?;
            let parent = node.origin.parent;
            if let Some(ripple) = node.status.grow(id, growth) {
                climb(space, parent, ripple, on_the_way);
            }
        }
        What::Options(text) => {
            options::apply(space, id, text.as_deref())?;
            return Ok(None);
        }
        What::Line { time, text } => {
            let lines = NewLogLines { lines: vec![text.clone()], append_id: None };
            log::apply(space, id, &lines, at(*time))?;
        }
    }
    Ok(Some(Stir { id, said: None }))
}

fn block(verdict: &mut TreeVerdict, position: u64, job: JobId, state: State) {
    verdict.blocked += 1;
    if verdict.blocked_changes.len() < limits::VERDICTS_SHOWN {
        verdict.blocked_changes.push(BlockedChange { position, job, state });
    }
}
