use std::{collections::VecDeque, pin::pin};

use futures_util::TryStreamExt;
use jobtracker_model::{AttachmentInfo, Change, JobId, LogLine};

use super::{
    View,
    load::subject,
    page::{Page, change_bytes, line_bytes},
};
use crate::{ChangesQuery, Listed, LogQuery, PageLimit, Result};

/// Own changes of a job, the creation first.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn list_changes<V: View>(
    view: &V,
    query: &ChangesQuery,
) -> Result<Listed<Change, u32>> {
    let status = subject(view, query.id).await?.status;
    let mut page = Page::new(query.limit);
    // The creation is no row of its own: it consists of its time alone.
    if query.from == 0 && page.look(0).is_continue() {
        let creation = Change::creation(status.create_time);
        let bytes = change_bytes(&creation);
        page.take(creation, bytes);
    }
    let mut changes = pin!(view.changes(query.id, query.from.max(1)));
    while let Some((number, change)) = changes.try_next().await? {
        if page.look(number).is_break() {
            break;
        }
        let bytes = change_bytes(&change);
        page.take(change, bytes);
    }
    Ok(page.finish())
}

/// Lines of a job's log, in order.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn list_log<V: View>(view: &V, query: &LogQuery) -> Result<Listed<LogLine, u32>> {
    let lines = subject(view, query.id).await?.status.log_lines;
    let Some(from) = query.from else {
        return last_lines(view, query.id, lines, query.limit).await;
    };
    let mut page = Page::new(query.limit);
    let mut lines = pin!(view.log(query.id, from));
    while let Some(line) = lines.try_next().await? {
        if page.look(line.line).is_break() {
            break;
        }
        let bytes = line_bytes(&line);
        page.take(line, bytes);
    }
    Ok(page.finish())
}

/// The page that ends with the last of this many lines. Going back from there, it begins with the
/// line that passes the limit.
async fn last_lines<V: View>(
    view: &V,
    id: JobId,
    count: u32,
    limit: PageLimit,
) -> Result<Listed<LogLine, u32>> {
    let most = u32::try_from(limit.items.min(limit.scan).max(1)).unwrap_or(u32::MAX);
    let mut items = VecDeque::new();
    let mut bytes = 0;
    let mut lines = pin!(view.log(id, count.saturating_sub(most)));
    while let Some(line) = lines.try_next().await? {
        bytes += line_bytes(&line);
        items.push_back(line);
        while let Some(first) = items.front().map(line_bytes) {
            if bytes - first <= limit.bytes || items.len() == 1 {
                break;
            }
            bytes -= first;
            items.pop_front();
        }
    }
    Ok(Listed { items: items.into(), next: None })
}

/// Attachments of a job by key, without their texts.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn list_attachments<V: View>(view: &V, id: JobId) -> Result<Vec<AttachmentInfo>> {
    subject(view, id).await?;
    let info = |(key, size)| {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        AttachmentInfo { key, size }
    };
    view.attachments(id).map_ok(info).try_collect().await
}
