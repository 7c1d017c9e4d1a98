use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::JobId;

use super::{Parent, Selection, View, load::subject, page::Page};
use crate::{ChildrenQuery, JobRow, Listed, Result};

/// Direct children, by id.
///
/// When only pending or only failed ones are asked for, their siblings cost nothing; when the
/// parent's numbers say that there are none, no row is read.
///
/// # Errors
/// There is no such parent, or the rows cannot be read.
pub(crate) async fn list_children<V: View>(
    view: &V,
    query: &ChildrenQuery,
) -> Result<Listed<JobRow, JobId>> {
    let parent = Parent::new(query.parent, &subject(view, query.parent).await?);
    let mut page = Page::new(query.limit);
    let Some(selection) = Selection::children(query.states, &parent.children) else {
        return Ok(page.finish());
    };
    let mut children = pin!(view.children(parent, query.after, selection));
    while let Some(child) = children.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        if selection.shows(&child.status) {
            page.take_job(parent.job(child)?);
        }
    }
    Ok(page.finish())
}
