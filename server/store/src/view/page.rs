use std::{mem::size_of, ops::ControlFlow};

use jobtracker_model::{Change, LogLine, Repeat, upload::BlockedChange};

use crate::{DeliveryRow, FollowUp, JobRow, Listed, PageLimit, Row, TreeResultRow, Watched};

/// A page while it is filled.
pub(crate) struct Page<T, K> {
    limit: PageLimit,
    items: Vec<T>,
    bytes: usize,
    scanned: usize,
    last: Option<K>,
    goes_on: bool,
}

impl<T, K> Page<T, K> {
    pub fn new(limit: PageLimit) -> Self {
        Self { limit, items: Vec::new(), bytes: 0, scanned: 0, last: None, goes_on: false }
    }

    /// Says that the row at `place` is about to be read. When the page is full it stops instead,
    /// and knows by this row that the list goes on.
    pub fn look(&mut self, place: K) -> ControlFlow<()> {
        // A limit of zero would make no progress, so the first row is always read.
        let full = self.items.len() >= self.limit.items
            || self.bytes > self.limit.bytes
            || self.scanned >= self.limit.scan;
        if full && self.scanned > 0 {
            self.goes_on = true;
            return ControlFlow::Break(());
        }
        self.scanned += 1;
        self.last = Some(place);
        ControlFlow::Continue(())
    }

    /// Puts the row that was read on the page.
    pub fn take(&mut self, item: T, bytes: usize) {
        self.items.push(item);
        self.bytes += bytes;
    }

    pub fn finish(self) -> Listed<T, K> {
        let next = if self.goes_on { self.last } else { None };
        Listed { items: self.items, next }
    }
}

impl<K> Page<JobRow, K> {
    /// Puts a job that was read on the page.
    pub fn take_job(&mut self, job: JobRow) {
        let bytes = job_bytes(&job);
        self.take(job, bytes);
    }
}

/// About the size of a job on a page.
pub(super) fn job_bytes(job: &JobRow) -> usize {
    /// Numbers, times and the names of the fields.
    const FIXED: usize = 300;
    FIXED + job.definition.bytes()
}

impl Row {
    /// About how much memory it takes, with the texts that it shares with others.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = match self {
            Row::Job { definition, .. } | Row::Definition { definition, .. } => definition.bytes(),
            Row::Status { .. } => 0,
            Row::Change { change, .. } => change_bytes(change),
            Row::LogLine { line, .. } => line_bytes(line),
            Row::Attachment { key, text: content, .. } => key.len() + text(content),
            Row::Repeat { key: Repeat::Change(name) | Repeat::Append(name), .. } => name.len(),
            Row::TreeResult { row, .. } => tree_result_bytes(row),
            Row::FollowUp { row, .. } => follow_up_bytes(row),
            Row::Deleted { tombstone, .. } => tombstone.by.len(),
        };
        size_of::<Row>() + texts
    }
}

/// About the size of a change on a page.
pub(super) fn change_bytes(change: &Change) -> usize {
    size_of::<Change>()
        + text(&change.message)
        + text(&change.reason_code)
        + text(&change.change_id)
        + change.by.as_ref().map_or(0, |by| by.len())
}

/// About the size of a line of a log on a page.
pub(super) fn line_bytes(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.text.len()
}

/// About the size of a result on a page.
pub(crate) fn tree_result_bytes(row: &TreeResultRow) -> usize {
    let refusal = row.tree_result.refusal.as_ref();
    let refusal = refusal.map_or(0, |refusal| refusal.code.len() + refusal.detail.len());
    let blocked = row.tree_result.blocked_changes.len() * size_of::<BlockedChange>();
    size_of::<TreeResultRow>() + refusal + blocked
}

/// About the size of a follow-up on a page.
pub(crate) fn follow_up_bytes(row: &FollowUp) -> usize {
    size_of::<FollowUp>()
        + match row {
            FollowUp::Watch(watch) => watch.actions.len() * size_of::<Watched>(),
            FollowUp::Action(action) => action.bytes(),
            FollowUp::Check(row) => row.check.bytes(),
            FollowUp::Delivery(DeliveryRow { event, last, .. }) => {
                text(&event.message) + last.as_ref().map_or(0, |last| last.response.len())
            }
            FollowUp::Task(row) => row.bytes(),
        }
}

fn text(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}
