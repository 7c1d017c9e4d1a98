use std::ops::ControlFlow;

use jobtracker_model::{Blocker, Category, Change, JobId, State, rollup::Status};

use super::{
    Child, ChildIndex, View,
    level::levels_behind,
    load::{Parent, job_of, subject},
    page::{Page, change_bytes, job_bytes, try_visit},
};
use crate::{BlockersQuery, Error, JobRow, Listed, Result};

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
pub fn list_blockers(view: &dyn View, query: &BlockersQuery) -> Result<Listed<Blocker, JobId>> {
    let mut page = Page::new(query.limit);
    let top = subject(view, query.of)?;
    let index = match top.status.category() {
        Some(Category::Pending) => ChildIndex::Pending,
        Some(Category::Failed) => ChildIndex::Failed,
        Some(Category::Successful) | None => return Ok(page.finish()),
    };
    let mut walk = Walk { view, index, page: &mut page };
    let mut after = query.after;
    if index == ChildIndex::Failed && top.status.flags.ever_faulted {
        if after.is_none() {
            // The first row of a page always fits.
            let _ = walk.page.look(query.of);
            walk.take(job_of(view, query.of, top)?)?;
        }
        after = after.filter(|after| *after != query.of);
    }
    for level in levels_behind(view, query.of, after)? {
        if walk.page.flow().is_break() {
            break;
        }
        if walk.goes_below(&level.node.status) {
            walk.siblings(Parent::new(level.parent, &level.node.origin), level.behind)?;
        }
    }
    Ok(page.finish())
}

/// A walk over pending or failed descendants. It recurs once per level, and a tree has no more
/// than [`DEPTH`](jobtracker_model::limits::DEPTH).
struct Walk<'a> {
    view: &'a dyn View,
    index: ChildIndex,
    page: &'a mut Page<Blocker, JobId>,
}

impl Walk<'_> {
    fn goes_below(&self, status: &Status) -> bool {
        match self.index {
            ChildIndex::Pending => status.children.pending > 0,
            ChildIndex::Failed => status.children.failed > 0,
        }
    }

    /// Whether other jobs wait for this one, or it failed by itself.
    fn is_one(&self, status: &Status) -> bool {
        match self.index {
            ChildIndex::Pending => status.children.pending == 0,
            ChildIndex::Failed => status.flags.ever_faulted,
        }
    }

    fn take(&mut self, job: JobRow) -> Result<()> {
        let (id, status) = (job.id, &job.status);
        let last_change = match self.index {
            ChildIndex::Pending => last_change(self.view, id, status)?,
            ChildIndex::Failed => failing_change(self.view, id, status)?,
        };
        let bytes = job_bytes(&job) + change_bytes(&last_change);
        self.page.take(Blocker { job: job.into(), last_change }, bytes);
        Ok(())
    }

    fn siblings(&mut self, parent: Parent, behind: Option<JobId>) -> Result<()> {
        let (view, index) = (self.view, self.index);
        try_visit(
            |visit| view.indexed(parent.id, index, behind, visit),
            |id| self.child(parent, id),
        )
    }

    fn child(&mut self, parent: Parent, id: JobId) -> Result<ControlFlow<()>> {
        if self.page.look(id).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let missing = || Error::Corrupt(format!("child {id} is in an index and not there"));
        let status = self.view.status(id, Some(parent.id))?.ok_or_else(missing)?;
        let goes_below = self.goes_below(&status);
        if self.is_one(&status) {
            let definition = self.view.definition(id, Some(parent.id))?.ok_or_else(missing)?;
            self.take(parent.job(Child { id, definition, status }))?;
        }
        if goes_below {
            self.siblings(parent.of(id), None)?;
        }
        Ok(self.page.flow())
    }
}

/// The own change that says why a job failed: its first Faulted one. The last one, where that is
/// too far from the first.
fn failing_change(view: &dyn View, id: JobId, status: &Status) -> Result<Change> {
    let known = status.first_fault.report().filter(|report| report.job == id);
    let from = known.map_or(1, |report| report.change);
    let (mut found, mut seen) = (None, 0);
    view.changes(id, from, &mut |(_, change)| {
        seen += 1;
        if change.state == State::Faulted {
            found = Some(change);
        }
        match found.is_some() || seen >= CHANGES_SEARCHED {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    found.map_or_else(|| last_change(view, id, status), Ok)
}

/// The last own change of a job.
fn last_change(view: &dyn View, id: JobId, status: &Status) -> Result<Change> {
    let number = status.changes.saturating_sub(1);
    if number == 0 {
        return Ok(Change::creation(status.create_time));
    }
    let mut last = None;
    view.changes(id, number, &mut |(_, change)| {
        last = Some(change);
        ControlFlow::Break(())
    })?;
    last.ok_or_else(|| Error::Corrupt(format!("change {number} of job {id} is not there")))
}
