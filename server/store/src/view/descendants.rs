use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::JobId;

use super::{Selection, View, descend::descend, page::Page};
use crate::{DescendantsQuery, JobRow, Listed, Result};

/// Descendants, each before its own children, siblings by id.
///
/// Subtrees whose numbers say that they have no matching job are skipped.
///
/// # Errors
/// There is no such job, `after` is not below it, or the rows cannot be read.
pub(crate) async fn list_descendants<V: View>(
    view: &V,
    query: &DescendantsQuery,
) -> Result<Listed<JobRow, JobId>> {
    let selection = Selection::Descendants(query.states);
    let mut page = Page::new(query.limit);
    let mut jobs = pin!(descend(view, query.of, query.after, selection).await?);
    while let Some((parent, child)) = jobs.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        if selection.shows(&child.status) {
            page.take_job(parent.job(child)?);
        }
    }
    Ok(page.finish())
}
