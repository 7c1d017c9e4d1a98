//! Rows on their way to the tables, gathered by partition.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, future::BoxFuture};
use jobtracker_model::{Definition, JobId, Repeat, rollup::Status};
use scylla::value::MaybeUnset;

use super::{
    cluster::Cluster,
    keys::{self, detail, history},
};
use crate::{
    FollowUpKey, Origin, Result, Row, Version,
    coding::{self, LineRow},
};

/// Partitions that one call writes at once.
const AT_ONCE: usize = 32;
/// Bytes that a row takes beyond its blobs, about.
const ROW_BYTES: usize = 80;

/// The newest known cells of a job.
#[derive(Default)]
struct Cells<'a> {
    version: Version,
    origin: Option<&'a Origin>,
    definition: Option<&'a Arc<Definition>>,
    status: Option<&'a Status>,
}

/// Bucket, kind and part.
type HistoryPart = (i64, i8, i32);
/// Job, stage and number.
type EntryKey = (i64, i64, u32);

/// An entry of a history, and what the append did that made it and others behind it.
#[derive(Default)]
struct Entry {
    version: Version,
    body: Option<Vec<u8>>,
    repeat: Option<Vec<u8>>,
}

type DetailRow = (i64, i64, i8, String, i64, i32, Option<Vec<u8>>, i64);
type TreeResultValues = (String, i64, i8, i64, Vec<u8>, i64);

/// Rows that are written together. Of several images of one row, the last one added counts.
#[derive(Default)]
pub struct Writes<'a> {
    jobs: BTreeMap<(i64, i64), BTreeMap<(i64, i64), Cells<'a>>>,
    pages: BTreeMap<i64, BTreeMap<i64, ()>>,
    history: HashMap<HistoryPart, BTreeMap<EntryKey, Entry>>,
    details: HashMap<i64, BTreeMap<(i64, i8, String), DetailRow>>,
    tree_results: Vec<TreeResultValues>,
}

impl<'a> Writes<'a> {
    /// Adds a row of a commit, or one that is staged (version 0). `stamp` is the time of the
    /// commit in microseconds, for what is not a row of its tree alone.
    pub fn add(&mut self, stage: i64, row: &'a Row, version: Version, stamp: i64) -> Result<()> {
        match row {
            Row::Job { id, origin, definition } => {
                let cells = self.cells(*id, origin.parent, stage, version);
                cells.origin = Some(origin);
                cells.definition = Some(definition);
                if let Some(parent) = origin.parent {
                    let pages = self.pages.entry(keys::number(parent)).or_default();
                    pages.insert(keys::bucket(*id), ());
                }
            }
            Row::Definition { id, parent, definition } => {
                self.cells(*id, *parent, stage, version).definition = Some(definition);
            }
            Row::Status { id, parent, status, .. } => {
                self.cells(*id, *parent, stage, version).status = Some(status);
            }
            Row::Change { id, number, change } => {
                let entry = self.entry(*id, stage, history::CHANGE, *number, version);
                entry.body = Some(encoded(change)?);
            }
            Row::LogLine { id, line } => {
                let entry = self.entry(*id, stage, history::LINE, line.line, version);
                entry.body = Some(encoded(&LineRow::from(line))?);
            }
            Row::Repeat { id, key, row } => {
                let (entries, kind) = keys::repeat_kinds(key);
                let (Repeat::Change(name) | Repeat::Append(name)) = key;
                if keys::is_early(row.first) {
                    let entry = self.entry(*id, stage, entries, row.first, version);
                    entry.repeat = Some(encoded(&(name, row))?);
                } else {
                    self.detail(*id, stage, kind, name, (version, 0, Some(encoded(row)?)));
                }
            }
            Row::Attachment { id, key, text } => {
                let size = text.as_ref().map_or(0, String::len) as i32;
                let mut bytes = Vec::new();
                let body = text.as_ref().map(|text| coding::encode_text(text, &mut bytes).to_vec());
                self.detail(*id, stage, detail::ATTACHMENT, key, (version, size, body));
            }
            Row::FollowUp { id, key: FollowUpKey::Delivery(number), row, .. } => {
                let entry = self.entry(*id, stage, history::DELIVERY, *number, version);
                entry.body = Some(encoded(row)?);
            }
            Row::FollowUp { id, key, row, .. } => {
                let (kind, name) = keys::follow_up(*key);
                self.detail(*id, stage, kind, &name, (version, 0, Some(encoded(row)?)));
            }
            Row::TreeResult { commit, row } => {
                let (root, kind) = (keys::number(row.tree_result.root), keys::tree_result::APPLIED);
                let body = encoded(row)?;
                let ver = version as i64;
                self.tree_results.push((commit.to_string(), root, kind, ver, body, stamp));
            }
            // It is not brought to the tables: the tree is removed from them.
            Row::Deleted { .. } => {}
        }
        Ok(())
    }

    fn cells(
        &mut self,
        id: JobId,
        parent: Option<JobId>,
        stage: i64,
        version: Version,
    ) -> &mut Cells<'a> {
        let page = self.jobs.entry((keys::parent(parent), keys::bucket(id))).or_default();
        let cells = page.entry((keys::number(id), stage)).or_default();
        cells.version = cells.version.max(version);
        cells
    }

    fn entry(
        &mut self,
        id: JobId,
        stage: i64,
        kind: i8,
        number: u32,
        version: Version,
    ) -> &mut Entry {
        let part = self.history.entry((keys::bucket(id), kind, keys::part(number))).or_default();
        let entry = part.entry((keys::number(id), stage, number)).or_default();
        entry.version = entry.version.max(version);
        entry
    }

    fn detail(
        &mut self,
        id: JobId,
        stage: i64,
        kind: i8,
        key: &str,
        (version, size, body): (Version, i32, Option<Vec<u8>>),
    ) {
        let (ver, stamp, id) = (version as i64, stamp_of(version), keys::number(id));
        let row = (id, stage, kind, key.to_owned(), ver, size, body, stamp);
        self.details.entry(id).or_default().insert((stage, kind, key.to_owned()), row);
    }

    /// Writes everything; it is all on a quorum of its copies afterwards. May be repeated.
    pub async fn flush(self, cluster: &Cluster) -> Result<()> {
        let statements = &cluster.statements;
        let mut writes: Vec<BoxFuture<'_, Result<()>>> = Vec::new();
        for ((parent, page), jobs) in self.jobs {
            let mut rows = Vec::with_capacity(jobs.len());
            for ((id, stage), Cells { version, origin, definition, status }) in jobs {
                let origin = origin.map(encoded).transpose()?;
                let definition = definition.map(encoded).transpose()?;
                let status = status.map(encoded).transpose()?;
                let blobs = [&origin, &definition, &status].into_iter().flatten();
                let size = blobs.map(Vec::len).sum::<usize>() + ROW_BYTES;
                let (ver, stamp) = (version as i64, stamp_of(version));
                let (origin, definition) = (unset(origin), unset(definition));
                let cells = (origin, definition, unset(status));
                rows.push((size, job_values((parent, page, id, stage), ver, cells, stamp)));
            }
            writes.push(Box::pin(cluster.write_rows(&statements.put_job, rows)));
        }
        for (parent, pages) in self.pages {
            let rows = pages.into_keys().map(|page| (ROW_BYTES, (parent, page))).collect();
            writes.push(Box::pin(cluster.write_rows(&statements.put_page, rows)));
        }
        for (part, entries) in self.history {
            let rows = entries.into_iter().map(|(key, entry)| entry.into_row(part, key)).collect();
            writes.push(Box::pin(cluster.write_rows(&statements.put_history, rows)));
        }
        for rows in self.details.into_values() {
            let size = |row: &DetailRow| row.6.as_ref().map_or(0, Vec::len) + ROW_BYTES;
            let rows = rows.into_values().map(|row| (size(&row), row)).collect();
            writes.push(Box::pin(cluster.write_rows(&statements.put_detail, rows)));
        }
        for row in self.tree_results {
            writes.push(Box::pin(cluster.write(&statements.put_tree_result, row)));
        }
        futures_util::stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }
}

impl Entry {
    /// The row with its size.
    fn into_row(
        self,
        (bucket, kind, part): HistoryPart,
        (id, stage, number): EntryKey,
    ) -> (usize, HistoryRow) {
        let Self { version, body, repeat } = self;
        let size = [&body, &repeat].into_iter().flatten().map(Vec::len).sum::<usize>() + ROW_BYTES;
        let (number, ver, stamp) = (number as i32, version as i64, stamp_of(version));
        let (body, repeat) = (unset(body), unset(repeat));
        (size, (bucket, kind, part, id, stage, number, ver, body, repeat, stamp))
    }
}

type Blob = MaybeUnset<Vec<u8>>;
type HistoryRow = (i64, i8, i32, i64, i64, i32, i64, Blob, Blob, i64);
type JobValues = (i64, i64, i64, i64, i64, Blob, Blob, Blob, i64);

fn job_values(
    (parent, page, id, stage): (i64, i64, i64, i64),
    ver: i64,
    (origin, definition, status): (Blob, Blob, Blob),
    stamp: i64,
) -> JobValues {
    (parent, page, id, stage, ver, origin, definition, status, stamp)
}

/// The timestamp of what a version wrote: later versions win over earlier ones, and over what was
/// staged.
pub fn stamp_of(version: Version) -> i64 {
    version as i64 + 1
}

fn unset(bytes: Option<Vec<u8>>) -> Blob {
    bytes.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}

fn encoded<T: serde::Serialize>(row: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    coding::encode(row, &mut bytes)?;
    Ok(bytes)
}
