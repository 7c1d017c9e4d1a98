use std::{collections::HashSet, sync::Arc};

use jobtracker_model::{Created, JobId, limits, rollup::Status};
use jobtracker_store::Origin;

use super::{
    follow_ups,
    roll_up::{Became, climb},
    rules::Rules,
    tasks,
};
use crate::{Error, Result, operation::Creation, workspace::Workspace};

/// Creates jobs under one parent, or a root: all of them or none. Jobs that exist already with the
/// same definition are left as they are.
pub(super) fn apply(
    space: &mut Workspace,
    parent: Option<JobId>,
    jobs: &[Creation],
    rules: Rules,
    became: &mut Vec<Became>,
) -> Result<Vec<Created>> {
    let above = parent.map(|parent| place_below(space, parent)).transpose()?;
    if let Some(root) = jobs.first().filter(|_| parent.is_none()).map(id_of) {
        space.check_not_deleted(root)?;
    }
    // An id that the engine chose may be one that the caller chose for a sibling.
    let mut ids = HashSet::with_capacity(jobs.len());
    for job in jobs {
        check(space, job)?;
        if !ids.insert(id_of(job)) {
            return Err(Error::IdConflict(id_of(job)));
        }
    }
    let mut created = Vec::with_capacity(jobs.len());
    for job in jobs {
        let id = id_of(job);
        if let (Some(origin), Some(status)) = (space.origin(id), space.status(id)) {
            created.push(Created { id, root: origin.root, created: false, state: status.state });
            continue;
        }
        let (root, depth) = above.unwrap_or((id, 0));
        let origin = Origin { parent, root, depth, fingerprint: job.fingerprints.own };
        let (status, delta) = Status::created(id, rules.now);
        created.push(Created { id, root, created: true, state: status.state });
        space.create(id, origin, Arc::clone(&job.definition), status);
        climb(space, parent, delta, became);
        follow_ups::install(space, id, &job.actions, &job.checks, rules.now);
        if let Some(task) = &job.task {
            tasks::install(space, id, task, rules.now);
        }
    }
    Ok(created)
}

/// The root and the depth of a child of this parent.
fn place_below(space: &Workspace, parent: JobId) -> Result<(JobId, u32)> {
    let origin = space.origin(parent).ok_or(Error::ParentNotFound(parent))?;
    if origin.depth >= limits::DEPTH {
        return Err(Error::TooDeep(parent));
    }
    Ok((origin.root, origin.depth + 1))
}

/// An id may be free, or name the same creation.
fn check(space: &Workspace, job: &Creation) -> Result<()> {
    let id = id_of(job);
    match space.origin(id) {
        Some(origin) if job.id_is_ours || !job.fingerprints.has(origin.fingerprint) => {
            Err(Error::IdConflict(id))
        }
        _ => Ok(()),
    }
}

fn id_of(job: &Creation) -> JobId {
    job.id.expect("ids are taken before a group is applied")
}
