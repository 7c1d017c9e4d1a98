use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::{JobId, rollup::Status};

use super::{Selection, View, descend::descend, load::subject, page::Page};
use crate::{FollowUpKey, Listed, Result, RowsQuery};

/// Follow-ups of a tree that are still to be done, one for each job that has some: the root first,
/// then the descendants in their order.
///
/// # Errors
/// There is no such root, `after` is not in its tree, or the rows cannot be read.
pub(crate) async fn list_waiting<V: View>(
    view: &V,
    query: &RowsQuery,
) -> Result<Listed<(JobId, FollowUpKey), JobId>> {
    let root = query.root;
    let mut page = Page::new(query.limit);
    if query.after.is_none() && page.look(root).is_continue() {
        let status = subject(view, root).await?.status;
        take_waiting(view, root, &status, &mut page).await?;
    }
    // Behind the root stand its descendants.
    let behind = query.after.filter(|after| *after != root);
    let mut jobs = pin!(descend(view, root, behind, Selection::Statuses).await?);
    while let Some((_, child)) = jobs.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        take_waiting(view, child.id, &child.status, &mut page).await?;
    }
    Ok(page.finish())
}

/// Puts the first follow-up of a job that is still to be done on the page.
async fn take_waiting<V: View>(
    view: &V,
    id: JobId,
    status: &Status,
    page: &mut Page<(JobId, FollowUpKey), JobId>,
) -> Result<()> {
    if !status.flags.followed {
        return Ok(());
    }
    let mut rows = pin!(view.follow_ups(id, FollowUpKey::Check(0)));
    while let Some((key, row)) = rows.try_next().await? {
        if row.is_waiting() {
            page.take((id, key), 0);
            return Ok(());
        }
    }
    Ok(())
}
