use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::{Category, Change, JobId, State};

use super::{
    ChildIndex, Selection, View,
    descend::descend,
    load::subject,
    page::{Page, change_bytes, job_bytes},
};
use crate::{BlockerRow, BlockersQuery, Error, JobRow, Listed, Result};

/// Changes of a job that are searched for the one that says why it failed, where its status does
/// not tell which one that is.
const CHANGES_SEARCHED: usize = 10_000;

/// What a job waits for, or why it failed.
///
/// Goes down through unfinished (or failed) jobs only, so finished siblings cost nothing. A job
/// that failed may have done so by itself, and is the first of the list then.
///
/// # Errors
/// There is no such job, `after` is not below it, or the rows cannot be read.
pub(crate) async fn list_blockers<V: View>(
    view: &V,
    query: &BlockersQuery,
) -> Result<Listed<BlockerRow, JobId>> {
    let mut page = Page::new(query.limit);
    let top = subject(view, query.of).await?;
    let index = match top.status.category() {
        Some(Category::Pending) => ChildIndex::Pending,
        Some(Category::Failed) => ChildIndex::Failed,
        Some(Category::Successful) | None => return Ok(page.finish()),
    };
    let mut after = query.after;
    if index == ChildIndex::Failed && top.status.flags.ever_faulted {
        if after.is_none() {
            // The first row of a page always fits.
            let _ = page.look(query.of);
            let job = view.job(query.of).await?.ok_or(Error::UnknownJob(query.of))?;
            take(view, index, job, &mut page).await?;
        }
        after = after.filter(|after| *after != query.of);
    }
    let selection = Selection::Blockers(index);
    let mut jobs = pin!(descend(view, query.of, after, selection).await?);
    while let Some((parent, child)) = jobs.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        if selection.shows(&child.status) {
            take(view, index, parent.job(child)?, &mut page).await?;
        }
    }
    Ok(page.finish())
}

async fn take<V: View>(
    view: &V,
    index: ChildIndex,
    job: JobRow,
    page: &mut Page<BlockerRow, JobId>,
) -> Result<()> {
    let last_change = match index {
        ChildIndex::Pending => last_change(view, &job).await?,
        ChildIndex::Failed => failing_change(view, &job).await?,
    };
    let bytes = job_bytes(&job) + change_bytes(&last_change);
    page.take(BlockerRow { job, last_change }, bytes);
    Ok(())
}

/// The own change that says why a job failed: its first Faulted one. The last one, where that is
/// too far from the first.
async fn failing_change<V: View>(view: &V, job: &JobRow) -> Result<Change> {
    let known = job.status.first_fault.report().filter(|report| report.job == job.id);
    let from = known.map_or(1, |report| report.change);
    let mut changes = pin!(view.changes(job.id, from));
    for _ in 0..CHANGES_SEARCHED {
        match changes.try_next().await? {
            Some((_, change)) if change.state == State::Faulted => return Ok(change),
            Some(_) => {}
            None => break,
        }
    }
    last_change(view, job).await
}

/// The last own change of a job.
async fn last_change<V: View>(view: &V, job: &JobRow) -> Result<Change> {
    let number = job.status.changes.saturating_sub(1);
    if number == 0 {
        return Ok(Change::creation(job.status.create_time));
    }
    let last = pin!(view.changes(job.id, number)).try_next().await?;
    let missing = || Error::Corrupt(format!("change {number} of job {} is not there", job.id));
    Ok(last.ok_or_else(missing)?.1)
}
