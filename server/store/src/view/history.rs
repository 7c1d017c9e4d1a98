use std::{collections::VecDeque, ops::ControlFlow};

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
pub fn list_changes(view: &dyn View, query: &ChangesQuery) -> Result<Listed<Change, u32>> {
    let status = subject(view, query.id)?.status;
    let mut page = Page::new(query.limit);
    let mut put = |number: u32, change: Change| {
        page.look(number)?;
        let bytes = change_bytes(&change);
        page.take(change, bytes);
        ControlFlow::Continue(())
    };
    // The creation is no row of its own: it consists of its time alone.
    if query.from > 0 || put(0, Change::creation(status.create_time)).is_continue() {
        view.changes(query.id, query.from.max(1), &mut |(number, change)| put(number, change))?;
    }
    Ok(page.finish())
}

/// Lines of a job's log, in order.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub fn list_log(view: &dyn View, query: &LogQuery) -> Result<Listed<LogLine, u32>> {
    let lines = subject(view, query.id)?.status.log_lines;
    let Some(from) = query.from else { return last_lines(view, query.id, lines, query.limit) };
    let mut page = Page::new(query.limit);
    view.log(query.id, from, &mut |line| {
        page.look(line.line)?;
        let bytes = line_bytes(&line);
        page.take(line, bytes);
        ControlFlow::Continue(())
    })?;
    Ok(page.finish())
}

/// The page that ends with the last of this many lines. Going back from there, it begins with the
/// line that passes the limit.
fn last_lines(
    view: &dyn View,
    id: JobId,
    lines: u32,
    limit: PageLimit,
) -> Result<Listed<LogLine, u32>> {
    let most = u32::try_from(limit.items.min(limit.scan).max(1)).unwrap_or(u32::MAX);
    let mut items = VecDeque::new();
    let mut bytes = 0;
    view.log(id, lines.saturating_sub(most), &mut |line| {
        bytes += line_bytes(&line);
        items.push_back(line);
        while let Some(first) = items.front().map(line_bytes) {
            if bytes - first <= limit.bytes || items.len() == 1 {
                break;
            }
            bytes -= first;
            items.pop_front();
        }
        ControlFlow::Continue(())
    })?;
    Ok(Listed { items: items.into(), next: None })
}

/// Attachments of a job by key, without their texts.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub fn list_attachments(view: &dyn View, id: JobId) -> Result<Vec<AttachmentInfo>> {
    subject(view, id)?;
    let mut items = Vec::new();
    view.attachments(id, &mut |(key, size)| {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        items.push(AttachmentInfo { key, size });
        ControlFlow::Continue(())
    })?;
    Ok(items)
}
