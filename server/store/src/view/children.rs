use jobtracker_model::{Category, Children, JobId, State, StateSet};

use super::{
    Child, ChildIndex, View,
    load::{Parent, subject},
    page::{Page, job_bytes, try_visit},
};
use crate::{ChildrenQuery, Error, JobRow, Listed, Result};

/// Direct children, by id.
///
/// When only pending or only failed ones are asked for, their siblings cost nothing; when the
/// parent's numbers say that there are none, no row is read.
///
/// # Errors
/// There is no such parent, or the rows cannot be read.
pub fn list_children(view: &dyn View, query: &ChildrenQuery) -> Result<Listed<JobRow, JobId>> {
    let node = subject(view, query.parent)?;
    let parent = Parent::new(query.parent, &node.origin);
    let mut page = Page::new(query.limit);
    match way_to(query.states, &node.status.children) {
        Way::Nowhere => {}
        Way::All => all(view, query, parent, &mut page)?,
        Way::By(index) => by_index(view, query, index, parent, &mut page)?,
    }
    Ok(page.finish())
}

/// How the children in some states are found.
enum Way {
    Nowhere,
    All,
    By(ChildIndex),
}

fn way_to(states: StateSet, children: &Children) -> Way {
    let asked = |category: Category| {
        states.is_empty() || states.iter().any(|state| state.category() == Some(category))
    };
    let pending = asked(Category::Pending) && children.pending > 0;
    let successful = asked(Category::Successful) && children.successful > 0;
    let failed = asked(Category::Failed) && children.failed > 0;
    match (pending, successful, failed) {
        (false, false, false) => Way::Nowhere,
        (true, false, false) => Way::By(ChildIndex::Pending),
        (false, false, true) => Way::By(ChildIndex::Failed),
        _ => Way::All,
    }
}

fn asks_for(states: StateSet, state: State) -> bool {
    states.is_empty() || states.contains(state)
}

fn all(
    view: &dyn View,
    query: &ChildrenQuery,
    parent: Parent,
    page: &mut Page<JobRow, JobId>,
) -> Result<()> {
    try_visit(
        |visit| view.children(query.parent, query.after, visit),
        |child| {
            let looked = page.look(child.id);
            if looked.is_continue() && asks_for(query.states, child.status.state) {
                take(parent.job(child), page);
            }
            Ok(looked)
        },
    )?;
    Ok(())
}

fn by_index(
    view: &dyn View,
    query: &ChildrenQuery,
    index: ChildIndex,
    parent: Parent,
    page: &mut Page<JobRow, JobId>,
) -> Result<()> {
    let above = Some(parent.id);
    let missing = |id: JobId| Error::Corrupt(format!("child {id} is in an index and not there"));
    try_visit(
        |visit| view.indexed(query.parent, index, query.after, visit),
        |id| {
            let looked = page.look(id);
            if looked.is_continue() {
                let status = view.status(id, above)?.ok_or_else(|| missing(id))?;
                if asks_for(query.states, status.state) {
                    let definition = view.definition(id, above)?.ok_or_else(|| missing(id))?;
                    take(parent.job(Child { id, definition, status }), page);
                }
            }
            Ok(looked)
        },
    )?;
    Ok(())
}

fn take(job: JobRow, page: &mut Page<JobRow, JobId>) {
    let bytes = job_bytes(&job);
    page.take(job, bytes);
}
