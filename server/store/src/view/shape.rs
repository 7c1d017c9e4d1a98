use std::{collections::HashSet, pin::pin};

use futures_util::TryStreamExt;
use jobtracker_model::{JobId, StateSet};

use super::{ChildIndex, Parent, Selection, View};
use crate::{Error, JobRow, Order, Result, ShapeQuery};

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
    let mut jobs = vec![top];
    let mut level = 0..1;
    for depth in 1..=query.depth {
        let below = |job: &&JobRow| job.status.subtree.total > 0;
        let is_deeper = jobs[level.clone()].iter().any(has_more);
        let parents: Vec<_> = jobs[level].iter().filter(below).map(Parent::of_job).collect();
        if parents.is_empty() || jobs.len() >= query.jobs {
            break;
        }
        let begin = jobs.len();
        let left = query.jobs - begin;
        let is_last = depth == query.depth || !is_deeper;
        let mut room = if is_last { left } else { left.div_ceil(2) };
        for (index, parent) in parents.iter().enumerate() {
            let share = room.div_ceil(parents.len() - index);
            let children = telling_children(view, *parent, share).await?;
            room -= children.len();
            jobs.extend(children);
        }
        level = begin..jobs.len();
    }
    Ok(jobs)
}

/// Whether a job has descendants that are not its children.
fn has_more(job: &JobRow) -> bool {
    job.status.subtree.total > job.status.children.total()
}

/// The first children of a job in the order of what they tell.
async fn telling_children<V: View>(view: &V, parent: Parent, count: usize) -> Result<Vec<JobRow>> {
    let mut found: Vec<JobRow> = Vec::new();
    for index in [Some(ChildIndex::Failed), Some(ChildIndex::Pending), None] {
        if found.len() >= count || index.is_some_and(|index| index.count(&parent.children) == 0) {
            continue;
        }
        let selection = Selection::Children(StateSet::EMPTY, index);
        let listed: HashSet<JobId> = found.iter().map(|job| job.id).collect();
        let mut children = pin!(view.children(parent, None, Order::Oldest, selection));
        while found.len() < count
            && let Some(child) = children.try_next().await?
        {
            if !listed.contains(&child.id) {
                found.push(parent.job(child)?);
            }
        }
    }
    Ok(found)
}
