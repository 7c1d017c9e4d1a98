//! Changes and lines of logs, and rows that are kept like them.

use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{Change, JobId, LogLine};

use super::{Held, Snapshot, pinned::PinnedTree};
use crate::{
    Result,
    coding::{self, LineRow},
    scylla::{keys, locations::Several},
    view::Visit,
};

/// Parts that are read at once at most; a walk begins with one and doubles.
pub(super) const WIDTH: usize = 16;

/// One kind of history of one job.
#[derive(Clone, Copy)]
pub(super) struct History {
    pub id: JobId,
    pub stage: i64,
    pub kind: i8,
}

/// Number, version and body.
pub(super) type EntryRow = (i32, Option<i64>, Option<Vec<u8>>);

impl PinnedTree {
    /// Entries of some parts, in order.
    pub(super) async fn entries(
        &self,
        history: History,
        from: u32,
        parts: Vec<i32>,
    ) -> Result<Vec<EntryRow>> {
        let (cluster, History { id, stage, kind }) = (self.cluster(), history);
        let (bucket, id) = (keys::bucket(id), keys::number(id));
        let mut reads: Several<'_, Vec<EntryRow>> = Vec::new();
        for part in parts {
            let key = (bucket, kind, part, id, stage, from as i32);
            reads.push(Box::pin(cluster.rows(&cluster.statements.history, key)));
        }
        let rows: Vec<Vec<EntryRow>> = stream::iter(reads).buffered(WIDTH).try_collect().await?;
        Ok(rows.into_iter().flatten().collect())
    }
}

impl Snapshot {
    pub(super) fn walk_changes(
        &self,
        id: JobId,
        from: u32,
        visit: Visit<(u32, Change)>,
    ) -> Result<()> {
        let Some(Held { place, status, .. }) = self.read(id, false)? else { return Ok(()) };
        let redos = self.pinned.tail.redos.iter();
        let later = redos.flat_map(|redo| redo.changes(id));
        let later: BTreeMap<u32, &Change> = later.filter(|(number, _)| *number >= from).collect();
        let end = later.first_key_value().map_or(status.changes, |(number, _)| *number);
        let history = History { id, stage: place.stage, kind: keys::history::CHANGE };
        let flow = self.walk_entries(history, from..end, |number, body| {
            Ok(visit((number, coding::decode("change", body)?)))
        })?;
        if flow.is_continue() {
            for (number, change) in later {
                if visit((number, change.clone())).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn walk_lines(&self, id: JobId, from: u32, visit: Visit<LogLine>) -> Result<()> {
        let Some(Held { place, status, .. }) = self.read(id, false)? else { return Ok(()) };
        let redos = self.pinned.tail.redos.iter();
        let later = redos.flat_map(|redo| redo.lines(id)).map(|line| (line.line, line));
        let later: BTreeMap<u32, &LogLine> = later.filter(|(line, _)| *line >= from).collect();
        let end = later.first_key_value().map_or(status.log_lines, |(line, _)| *line);
        let history = History { id, stage: place.stage, kind: keys::history::LINE };
        let flow = self.walk_entries(history, from..end, |number, body| {
            let line: LineRow = coding::decode("line of a log", body)?;
            Ok(visit(line.numbered(number)))
        })?;
        if flow.is_continue() {
            for line in later.into_values() {
                if visit(line.clone()).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Entries that the tables have.
    fn walk_entries(
        &self,
        history: History,
        numbers: Range<u32>,
        mut visit: impl FnMut(u32, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        if numbers.is_empty() || self.pinned.is_in_tail() {
            return Ok(ControlFlow::Continue(()));
        }
        let last = keys::part(numbers.end - 1);
        let mut next = keys::part(numbers.start);
        let mut width = 1;
        while next <= last {
            let parts: Vec<i32> = (next..=last).take(width).collect();
            next += parts.len() as i32;
            width = (width * 2).min(WIDTH);
            let rows = self.wait(self.pinned.entries(history, numbers.start, parts))?;
            for (number, version, body) in rows {
                let (Ok(number), Some(body)) = (u32::try_from(number), body) else { continue };
                // A row that was written after the snapshot is not in it yet.
                if !numbers.contains(&number) || !self.pinned.is_past(version) {
                    continue;
                }
                if visit(number, &body)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
