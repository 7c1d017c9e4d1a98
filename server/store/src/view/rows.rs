use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::{JobId, rollup::Status};

use super::{Child, Selection, View, descend::descend, load::subject, page::Page};
use crate::{Error, FollowUpKey, Listed, Result, Row, RowsQuery};

/// All rows of a tree, job by job: the root first, then the descendants in their order.
///
/// # Errors
/// There is no such root, `after` is not in its tree, or the rows cannot be read.
pub(crate) async fn list_rows<V: View>(view: &V, query: &RowsQuery) -> Result<Listed<Row, JobId>> {
    let root = query.root;
    let node = subject(view, root).await?;
    if node.origin.parent.is_some() {
        return Err(Error::UnknownJob(root));
    }
    let mut page = Page::new(query.limit);
    if query.after.is_none() && page.look(root).is_continue() {
        let definition = view.definition(root, None).await?;
        let (status, origin) = (node.status, Some(node.origin));
        take_job(view, Child { id: root, status, definition, origin }, &mut page).await?;
    }
    // Behind the root stand its descendants.
    let behind = query.after.filter(|after| *after != root);
    let mut jobs = pin!(descend(view, root, behind, Selection::Rows).await?);
    while let Some((_, child)) = jobs.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        take_job(view, child, &mut page).await?;
    }
    Ok(page.finish())
}

/// Puts everything of one job on the page.
async fn take_job<V: View>(view: &V, job: Child, page: &mut Page<Row, JobId>) -> Result<()> {
    let Child { id, status, definition, origin } = job;
    let half = || Error::Corrupt(format!("job {id} is in a list and not there as a whole"));
    let (definition, origin) = definition.zip(origin).ok_or_else(half)?;
    let Status { changes, log_lines, attachments, flags, .. } = status;
    let mut take = |row: Row| {
        let bytes = row.bytes();
        page.take(row, bytes);
    };
    take(Row::Job { id, origin, definition });
    take(Row::Status { id, parent: origin.parent, before: None, status });
    // The creation is no row of its own.
    let has_changes = changes > 1;
    if has_changes {
        let mut changes = pin!(view.changes(id, 1));
        while let Some((number, change)) = changes.try_next().await? {
            take(Row::Change { id, number, change });
        }
    }
    if log_lines > 0 {
        let mut lines = pin!(view.log(id, 0));
        while let Some(line) = lines.try_next().await? {
            take(Row::LogLine { id, line });
        }
    }
    if attachments > 0 {
        let mut attachments = pin!(view.attachments(id));
        while let Some((key, _)) = attachments.try_next().await? {
            let text = view.attachment(id, &key).await?;
            let missing = || Error::Corrupt(format!("attachment {key} of {id} has no text"));
            let text = Some(text.ok_or_else(missing)?);
            take(Row::Attachment { id, key, text });
        }
    }
    if has_changes || log_lines > 0 {
        let mut repeats = pin!(view.repeats(id));
        while let Some((key, row)) = repeats.try_next().await? {
            take(Row::Repeat { id, key, row });
        }
    }
    if flags.followed {
        let mut follow_ups = pin!(view.follow_ups(id, FollowUpKey::Watch));
        while let Some((key, row)) = follow_ups.try_next().await? {
            take(Row::FollowUp { id, key, before: None, row });
        }
    }
    Ok(())
}
