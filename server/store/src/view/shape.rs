use std::{collections::HashSet, pin::pin};

use futures_util::TryStreamExt;
use jobtracker_model::{JobId, StateSet};

use super::{ChildIndex, Parent, Selection, View, load::subject};
use crate::{Error, JobRow, Result, ShapeQuery};

/// A part of a tree that stands for the whole: the job at the top, then level by level those
/// children of the jobs before that tell most. Failed children come first, then those that are not
/// finished, then the others, each by id.
///
/// Each level gets half of the jobs that are left, so that one broad level does not hide what is
/// below it, and the last level gets all of them; a level is shared evenly by its parents.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn get_shape<V: View>(view: &V, query: &ShapeQuery) -> Result<Vec<JobRow>> {
    let top = view.job(query.of).await?.ok_or(Error::UnknownJob(query.of))?;
    let mut level = vec![(Parent::new(query.of, &subject(view, query.of).await?), has_more(&top))];
    let mut jobs = vec![top];
    for depth in 1..=query.depth {
        let left = query.jobs.saturating_sub(jobs.len());
        let is_last = depth == query.depth || !level.iter().any(|(_, has_more)| *has_more);
        let mut room = if is_last { left } else { left.div_ceil(2) };
        let mut below = Vec::new();
        let parents = level.len();
        for (index, (parent, _)) in level.into_iter().enumerate() {
            let share = room.div_ceil(parents - index);
            let children = telling_children(view, parent, share).await?;
            room -= children.len();
            let with_children = children.iter().filter(|(_, job)| job.status.subtree.total > 0);
            below.extend(with_children.map(|(parent, job)| (*parent, has_more(job))));
            jobs.extend(children.into_iter().map(|(_, job)| job));
        }
        if below.is_empty() || jobs.len() >= query.jobs {
            break;
        }
        level = below;
    }
    Ok(jobs)
}

/// Whether a job has descendants that are not its children.
fn has_more(job: &JobRow) -> bool {
    let children = &job.status.children;
    job.status.subtree.total > children.pending + children.successful + children.failed
}

/// The first children of a job in the order of what they tell, each also as a parent.
async fn telling_children<V: View>(
    view: &V,
    parent: Parent,
    count: usize,
) -> Result<Vec<(Parent, JobRow)>> {
    let mut found: Vec<(Parent, JobRow)> = Vec::new();
    for index in [Some(ChildIndex::Failed), Some(ChildIndex::Pending), None] {
        if found.len() >= count || index.is_some_and(|index| index.count(&parent.children) == 0) {
            continue;
        }
        let selection = Selection::Children(StateSet::EMPTY, index);
        let listed: HashSet<JobId> = found.iter().map(|(_, job)| job.id).collect();
        let mut children = pin!(view.children(parent, None, selection));
        while found.len() < count
            && let Some(child) = children.try_next().await?
        {
            if !listed.contains(&child.id) {
                found.push((parent.of(&child), parent.job(child)?));
            }
        }
    }
    Ok(found)
}
