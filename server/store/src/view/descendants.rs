use std::ops::ControlFlow;

use jobtracker_model::{JobId, StateSet, rollup::Status};

use super::{
    Child, View,
    level::levels_behind,
    load::Parent,
    page::{Page, job_bytes, try_visit},
};
use crate::{DescendantsQuery, JobRow, Listed, Result};

/// Descendants, each before its own children, siblings by id.
///
/// Subtrees whose numbers say that they have no matching job are skipped.
///
/// # Errors
/// There is no such job, `after` is not below it, or the rows cannot be read.
pub fn list_descendants(
    view: &dyn View,
    query: &DescendantsQuery,
) -> Result<Listed<JobRow, JobId>> {
    let mut walk = Walk { view, states: query.states, page: Page::new(query.limit) };
    for level in levels_behind(view, query.of, query.after)? {
        if walk.page.flow().is_break() {
            break;
        }
        if walk.goes_below(&level.node.status) {
            walk.siblings(Parent::new(level.parent, &level.node.origin), level.behind)?;
        }
    }
    Ok(walk.page.finish())
}

/// A walk over descendants. It recurs once per level, and a tree has no more than
/// [`DEPTH`](jobtracker_model::limits::DEPTH).
struct Walk<'a> {
    view: &'a dyn View,
    states: StateSet,
    page: Page<JobRow, JobId>,
}

impl Walk<'_> {
    fn goes_below(&self, status: &Status) -> bool {
        let below = &status.subtree;
        if self.states.is_empty() { below.total > 0 } else { below.at_most(self.states) > 0 }
    }

    fn siblings(&mut self, parent: Parent, behind: Option<JobId>) -> Result<()> {
        let view = self.view;
        try_visit(
            |visit| view.children(parent.id, behind, visit),
            |child| self.child(parent, child),
        )
    }

    fn child(&mut self, parent: Parent, child: Child) -> Result<ControlFlow<()>> {
        if self.page.look(child.id).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let id = child.id;
        let goes_below = self.goes_below(&child.status);
        if self.states.is_empty() || self.states.contains(child.status.state) {
            let job = parent.job(child);
            let bytes = job_bytes(&job);
            self.page.take(job, bytes);
        }
        if goes_below {
            self.siblings(parent.of(id), None)?;
        }
        Ok(self.page.flow())
    }
}
