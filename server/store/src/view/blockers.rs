use std::ops::ControlFlow;

use jobtracker_model::{Blocker, Category, Change, Children, JobId, rollup::Status};

use super::{
    Child, ChildIndex, View,
    level::levels_behind,
    load::{Parent, subject},
    page::{Page, change_bytes, job_bytes, try_visit},
};
use crate::{BlockersQuery, Error, Listed, Result};

/// What a job waits for, or why it failed.
///
/// Goes down through unfinished (or failed) jobs only, so finished siblings cost nothing.
///
/// # Errors
/// There is no such job, `after` is not below it, or the rows cannot be read.
pub fn list_blockers(view: &dyn View, query: &BlockersQuery) -> Result<Listed<Blocker, JobId>> {
    let mut page = Page::new(query.limit);
    let index = match subject(view, query.of)?.status.category() {
        Some(Category::Pending) => ChildIndex::Pending,
        Some(Category::Failed) => ChildIndex::Failed,
        Some(Category::Successful) | None => return Ok(page.finish()),
    };
    let mut walk = Walk { view, index, page: &mut page };
    for level in levels_behind(view, query.of, query.after)? {
        if walk.page.flow().is_break() {
            break;
        }
        if walk.goes_below(&level.node.status.children) {
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
    fn goes_below(&self, children: &Children) -> bool {
        match self.index {
            ChildIndex::Pending => children.pending > 0,
            ChildIndex::Failed => children.failed > 0,
        }
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
        if self.goes_below(&status.children) {
            self.siblings(parent.of(id), None)?;
            return Ok(self.page.flow());
        }
        let last_change = last_change(self.view, id, &status)?;
        let definition = self.view.definition(id, Some(parent.id))?.ok_or_else(missing)?;
        let job = parent.job(Child { id, definition, status });
        let bytes = job_bytes(&job) + change_bytes(&last_change);
        self.page.take(Blocker { job: job.into(), last_change }, bytes);
        Ok(ControlFlow::Continue(()))
    }
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
