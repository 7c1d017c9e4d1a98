use std::{ops::ControlFlow, sync::Arc};

use jobtracker_model::{Definition, JobId, rollup::Status};

use super::{
    Child, View,
    level::levels_behind,
    load::{job_of, subject},
    page::{Page, row_bytes, try_visit},
};
use crate::{Error, FollowUpKey, Listed, Origin, Result, Row, RowsQuery};

/// All rows of a tree, job by job: the root first, then the descendants in their order.
///
/// # Errors
/// There is no such root, `after` is not in its tree, or the rows cannot be read.
pub fn list_rows(view: &dyn View, query: &RowsQuery) -> Result<Listed<Row, JobId>> {
    let root = query.root;
    let node = subject(view, root)?;
    if node.origin.parent.is_some() {
        return Err(Error::UnknownJob(root));
    }
    let mut walk = Walk { view, page: Page::new(query.limit) };
    if query.after.is_none() && walk.page.look(root).is_continue() {
        let (origin, status) = (node.origin, node.status.clone());
        let definition = job_of(view, root, node)?.definition;
        walk.job(root, origin, definition, status)?;
    }
    // Behind the root stand its descendants.
    let behind = query.after.filter(|after| *after != root);
    for level in levels_behind(view, root, behind)? {
        if walk.page.flow().is_break() {
            break;
        }
        if level.node.status.subtree.total > 0 {
            walk.siblings(level.parent, level.behind)?;
        }
    }
    Ok(walk.page.finish())
}

/// A walk over the jobs of a tree. It recurs once per level, and a tree has no more than
/// [`DEPTH`](jobtracker_model::limits::DEPTH).
struct Walk<'a> {
    view: &'a dyn View,
    page: Page<Row, JobId>,
}

impl Walk<'_> {
    fn siblings(&mut self, parent: JobId, behind: Option<JobId>) -> Result<()> {
        let view = self.view;
        try_visit(|visit| view.children(parent, behind, visit), |child| self.child(child))
    }

    fn child(&mut self, child: Child) -> Result<ControlFlow<()>> {
        let Child { id, definition, status } = child;
        if self.page.look(id).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let missing = || Error::Corrupt(format!("child {id} is in a list and has no origin"));
        let origin = self.view.origin(id)?.ok_or_else(missing)?;
        let goes_below = status.subtree.total > 0;
        self.job(id, origin, definition, status)?;
        if goes_below {
            self.siblings(id, None)?;
        }
        Ok(self.page.flow())
    }

    /// Puts everything of one job on the page.
    fn job(
        &mut self,
        id: JobId,
        origin: Origin,
        definition: Arc<Definition>,
        status: Status,
    ) -> Result<()> {
        let Status { changes, log_lines, attachments, flags, .. } = status;
        self.take(Row::Job { id, origin, definition });
        self.take(Row::Status { id, parent: origin.parent, before: None, status });
        let view = self.view;
        // The creation is no row of its own.
        let has_changes = changes > 1;
        if has_changes {
            view.changes(id, 1, &mut |(number, change)| {
                self.take(Row::Change { id, number, change });
                ControlFlow::Continue(())
            })?;
        }
        if log_lines > 0 {
            view.log(id, 0, &mut |line| {
                self.take(Row::LogLine { id, line });
                ControlFlow::Continue(())
            })?;
        }
        if attachments > 0 {
            self.attachments(id)?;
        }
        if has_changes || log_lines > 0 {
            view.repeats(id, &mut |(key, row)| {
                self.take(Row::Repeat { id, key, row });
                ControlFlow::Continue(())
            })?;
        }
        if flags.followed {
            view.follow_ups(id, FollowUpKey::Watch, &mut |(key, row)| {
                self.take(Row::FollowUp { id, key, before: None, row });
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    fn attachments(&mut self, id: JobId) -> Result<()> {
        let view = self.view;
        try_visit(
            |visit| view.attachments(id, visit),
            |(key, _)| {
                let text = view.attachment(id, &key)?;
                let missing = || Error::Corrupt(format!("attachment {key} of {id} has no text"));
                let text = Some(text.ok_or_else(missing)?);
                self.take(Row::Attachment { id, key, text });
                Ok(ControlFlow::Continue(()))
            },
        )
    }

    fn take(&mut self, row: Row) {
        let bytes = row_bytes(&row);
        self.page.take(row, bytes);
    }
}
