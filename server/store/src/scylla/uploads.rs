//! Uploads and the results on their trees.
//!
//! That a tree was applied is a row of its upload, so it is in the log of the tree first. A
//! reservation in the table of results, written before, says in which logs to search. Refusals are
//! plain rows beside them, and count only where the tree was not applied.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp, upload::UploadId};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    checkpoint::Checkpoints,
    clocks::MINUTE,
    cluster::{Cluster, READS_AT_ONCE, Several},
    connect,
    keys::{self, listing, tree_result},
    pinned::PinnedTree,
    trees::TreeCache,
};
use crate::{
    Error, Listed, Result, TreeResultRow, TreeResultsQuery, UploadRow, coding,
    view::page::{Page, tree_result_bytes},
};

/// How long a server relies on it that a minute is listed. When a minute is forgotten, any server
/// takes it off the list.
const NOTED: Duration = Duration::from_secs(60);
/// Minutes that are remembered.
const MINUTES: usize = 1_000;
/// The root number of the completion.
const NO_ROOT: i64 = 0;
/// Bytes that a row takes beyond its body, about.
const ROW_BYTES: usize = 120;
/// Uploads that are forgotten together.
const FORGOTTEN: usize = 100;
/// A reservation that is older than this and has no result is of an upload that never came true.
/// How long an upload may take is a matter of seconds.
const VAIN: Duration = Duration::from_secs(3600);
/// Bytes that the key of a result takes, about.
const KEY_BYTES: usize = 40;
/// Rows in one answer.
const LISTED: usize = 500;

/// The tables of uploads.
pub struct UploadTables {
    cluster: Arc<Cluster>,
    trees: Arc<TreeCache>,
    checkpoints: Arc<Checkpoints>,
    /// Minutes in which uploads were sent, and when they were listed.
    noted: Mutex<HashMap<i64, Instant>>,
    /// The timestamp of the last row that was written here.
    stamp: AtomicI64,
}

/// Kind, version and body.
pub type KindRow = (i8, Option<i64>, Option<Vec<u8>>);

type ListedRow = (i64, String, Option<Vec<u8>>);

/// The name of a minute in the list of hours.
fn minute_name(minute: i64) -> String {
    format!("{minute:012}")
}

/// A minute, or an hour of an earlier version, with a list of the uploads that were sent in it.
struct Slot {
    hour: i64,
    /// Empty before there were minutes.
    name: String,
    list: i8,
    key: i64,
    /// The first time after it.
    end: i64,
}

impl Slot {
    fn of(hour: i64, name: String) -> Result<Self> {
        if name.is_empty() {
            let (list, end) = (listing::SENT_OF_HOURS, (hour + 1) * 60 * MINUTE);
            return Ok(Self { hour, name, list, key: hour, end });
        }
        let unreadable = |_| Error::Corrupt(format!("an hour has the bad minute {name}"));
        let minute: i64 = name.parse().map_err(unreadable)?;
        Ok(Self { hour, name, list: listing::SENT, key: minute, end: (minute + 1) * MINUTE })
    }
}

/// An upload as it stands in the list: once for each time that it was sent.
struct Sent {
    time: Timestamp,
    commit: UploadId,
}

/// The rows of the table on one tree of an upload.
#[derive(Debug, Default, Clone, PartialEq)]
struct Row {
    /// Whether its log may have a result.
    is_reserved: bool,
    /// The result that it was applied, as a checkpoint wrote it.
    applied: Option<TreeResultRow>,
    refused: Option<TreeResultRow>,
}

type RootRow = (i64, i8, Option<i64>, Option<Vec<u8>>);

impl Row {
    fn add(&mut self, kind: i8, body: Option<Vec<u8>>) -> Result<()> {
        let row = body.map(|body| coding::decode("tree result", &body)).transpose()?;
        match kind {
            tree_result::APPLIED => (self.is_reserved, self.applied) = (true, row),
            tree_result::REFUSED => self.refused = row,
            _ => {}
        }
        Ok(())
    }

    fn of(rows: Vec<KindRow>) -> Result<Self> {
        let mut all = Self::default();
        for (kind, _, body) in rows {
            all.add(kind, body)?;
        }
        Ok(all)
    }
}

impl UploadTables {
    pub fn new(
        cluster: Arc<Cluster>,
        trees: Arc<TreeCache>,
        checkpoints: Arc<Checkpoints>,
    ) -> Self {
        let (noted, stamp) = (Mutex::default(), AtomicI64::new(0));
        Self { cluster, trees, checkpoints, noted, stamp }
    }

    /// Writes results on refused trees, then that the upload is complete.
    pub async fn complete(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        let upload = &row.outcome.id;
        let times: BTreeSet<Timestamp> =
            refused.iter().map(|row| row.time).chain([row.time]).collect();
        for time in times {
            self.note_sent(upload, time).await?;
        }
        let (put, sent) = (&self.cluster.statements.put_tree_result, upload.as_str());
        let stamp = self.stamp();
        let mut rows = Vec::with_capacity(refused.len());
        for row in &refused {
            let (root, body) = (keys::number(row.tree_result.root), encoded(row)?);
            rows.push((
                body.len() + ROW_BYTES,
                (sent, root, tree_result::REFUSED, 0_i64, body, stamp),
            ));
        }
        self.cluster.write_rows(put, rows).await?;
        let body = encoded(&row)?;
        let stamp = self.stamp();
        self.cluster.write(put, (sent, NO_ROOT, tree_result::COMPLETED, 0_i64, body, stamp)).await
    }

    /// Results on the trees of an upload, by root.
    pub async fn list(&self, query: TreeResultsQuery) -> Result<Listed<TreeResultRow, JobId>> {
        let TreeResultsQuery { upload, mut after, limit } = query;
        let mut page = Page::new(limit);
        loop {
            let (rows, goes_on) = self.page(&upload, after).await?;
            after = rows.last_key_value().map(|(root, _)| *root);
            let mut reads: Several<'_, Option<TreeResultRow>> = Vec::new();
            for (root, row) in rows {
                reads.push(Box::pin(self.standing(&upload, root, row)));
            }
            let mut standing = stream::iter(reads).buffered(READS_AT_ONCE);
            while let Some(row) = standing.try_next().await? {
                let Some(row) = row else { continue };
                if page.look(row.tree_result.root).is_break() {
                    return Ok(page.finish());
                }
                let bytes = tree_result_bytes(&row);
                page.take(row, bytes);
            }
            if !goes_on {
                return Ok(page.finish());
            }
        }
    }

    /// Forgets what was sent before that time, oldest first, up to `limit` of them.
    pub async fn forget(&self, before: Timestamp, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        let mut behind = (i64::MIN, String::new());
        while forgotten < limit {
            let key = (listing::SENT_HOURS, 0_i64, behind.0, &behind.1);
            let slots: Vec<ListedRow> =
                self.cluster.rows(&self.cluster.statements.listed, key).await?;
            let Some((hour, name, _)) = slots.last() else { break };
            behind = (*hour, name.clone());
            for (hour, name, _) in slots {
                if hour > keys::hour(keys::minute(before)) || forgotten >= limit {
                    return Ok(forgotten);
                }
                let slot = Slot::of(hour, name)?;
                forgotten += self.forget_slot(&slot, before, limit - forgotten).await?;
            }
        }
        Ok(forgotten)
    }

    /// Lists an upload by the time that it was sent, after which it is forgotten.
    pub async fn note_sent(&self, upload: &UploadId, time: Timestamp) -> Result<()> {
        let (put, minute) = (&self.cluster.statements.put_entry, keys::minute(time));
        let is_noted = self.noted.lock().get(&minute).is_some_and(|at| at.elapsed() < NOTED);
        if !is_noted {
            let now = Instant::now();
            let (hour, name) = (keys::hour(minute), minute_name(minute));
            self.cluster.write(put, (listing::SENT_HOURS, 0_i64, hour, name)).await?;
            let mut noted = self.noted.lock();
            if noted.len() >= MINUTES {
                noted.clear();
            }
            noted.insert(minute, now);
        }
        let entry = (listing::SENT, minute, time.millis(), upload.as_str());
        self.cluster.write(put, entry).await
    }

    /// Says that a tree may be about to be applied, so that its log has the result.
    pub async fn note_applied(&self, upload: &UploadId, root: JobId) -> Result<()> {
        // Not above the stamp of the log's entry: the row that a checkpoint makes of it stays.
        let stamp = connect::now_millis() * 1_000;
        let row = (upload.as_str(), keys::number(root), stamp);
        self.cluster.write(&self.cluster.statements.note_upload, row).await
    }

    /// The next timestamp, so that of two rows of this server the later stays.
    fn stamp(&self) -> i64 {
        let now = connect::now_millis() * 1_000;
        let last = self
            .stamp
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(last.unwrap_or_else(|last| last) + 1)
    }

    /// An upload, if it is complete.
    pub async fn completed(&self, upload: &UploadId) -> Result<Option<UploadRow>> {
        let rows = self.rows(upload, NO_ROOT).await?;
        let body = rows.into_iter().find_map(|(kind, _, body)| match kind {
            tree_result::COMPLETED => body,
            _ => None,
        });
        body.map(|body| coding::decode("completed upload", &body)).transpose()
    }

    async fn rows(&self, upload: &UploadId, root: i64) -> Result<Vec<KindRow>> {
        self.cluster.rows(&self.cluster.statements.tree_result, (upload.as_str(), root)).await
    }

    /// The rows of the table on trees of an upload behind one of them, and whether it may have
    /// more.
    async fn page(
        &self,
        upload: &UploadId,
        after: Option<JobId>,
    ) -> Result<(BTreeMap<JobId, Row>, bool)> {
        let key = (upload.as_str(), after.map_or(0, keys::number));
        let rows: Vec<RootRow> =
            self.cluster.rows(&self.cluster.statements.tree_results, key).await?;
        let goes_on = rows.len() >= LISTED;
        let mut all: BTreeMap<JobId, Row> = BTreeMap::new();
        for (root, kind, _, body) in rows {
            let Some(root) = keys::id(root) else { continue };
            all.entry(root).or_default().add(kind, body)?;
        }
        if goes_on && all.len() > 1 {
            // The next page may have more on the last one.
            all.pop_last();
        }
        Ok((all, goes_on))
    }

    async fn standing(
        &self,
        upload: &UploadId,
        root: JobId,
        row: Row,
    ) -> Result<Option<TreeResultRow>> {
        if !row.is_reserved || row.applied.is_some() {
            return Ok(row.applied.or(row.refused));
        }
        let Some(pinned) = PinnedTree::now(&self.trees, root).await? else {
            return Ok(row.refused);
        };
        if let Some(applied) = pinned.tail.tree_result(upload) {
            return Ok(Some(applied.clone()));
        }
        // A checkpoint may have written it since.
        let row = Row::of(self.rows(upload, keys::number(root)).await?)?;
        Ok(row.applied.or(row.refused))
    }

    /// The result that a tree was applied, brought out of its log if it is still there.
    async fn settled(&self, upload: &UploadId, root: JobId, row: Row) -> Result<Row> {
        if !row.is_reserved {
            return Ok(row);
        }
        let tree = self.trees.tree(root);
        let tail = self.trees.refresh(&tree).await?;
        if tail.is_some_and(|tail| tail.tree_result(upload).is_some()) {
            self.checkpoints.whole(&tree).await?;
        }
        Row::of(self.rows(upload, keys::number(root)).await?)
    }

    async fn forget_slot(&self, slot: &Slot, before: Timestamp, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        while forgotten < limit {
            let due = self.due(slot, before, (limit - forgotten).min(FORGOTTEN)).await?;
            let Some(last) = due.last() else {
                if slot.end <= before.millis() {
                    self.end_slot(slot).await?;
                }
                break;
            };
            let last = last.time.millis();
            for upload in &due {
                self.forget_sent(upload).await?;
            }
            self.unlist(slot, &due, last).await?;
            forgotten += due.len();
        }
        Ok(forgotten)
    }

    /// The oldest uploads of a slot that are old enough.
    async fn due(&self, slot: &Slot, before: Timestamp, most: usize) -> Result<Vec<Sent>> {
        let key = (slot.list, slot.key, i64::MIN, "");
        let rows: Vec<ListedRow> = self.cluster.rows(&self.cluster.statements.listed, key).await?;
        let upload = |(time, commit, _): ListedRow| {
            let (time, commit) = (Timestamp::from_millis(time)?, commit.parse().ok()?);
            Some(Sent { time, commit })
        };
        let rows = rows.into_iter().filter_map(upload);
        Ok(rows.take_while(|upload| upload.time < before).take(most).collect())
    }

    /// Takes uploads off their list. Most of them by one range, which leaves less behind than this
    /// many rows; no server lists anything that old any more.
    async fn unlist(&self, slot: &Slot, uploads: &[Sent], last: i64) -> Result<()> {
        let statements = &self.cluster.statements;
        let range = (slot.list, slot.key, last);
        self.cluster.write(&statements.drop_listed_before, range).await?;
        let latest = uploads.iter().filter(|upload| upload.time.millis() == last);
        let entry =
            |upload: &Sent| (KEY_BYTES, (slot.list, slot.key, last, upload.commit.to_string()));
        self.cluster.write_rows(&statements.drop_listing, latest.map(entry).collect()).await
    }

    /// Takes an empty slot off the list.
    async fn end_slot(&self, slot: &Slot) -> Result<()> {
        let statements = &self.cluster.statements;
        let entry = (listing::SENT_HOURS, 0_i64, slot.hour, slot.name.as_str());
        self.noted.lock().remove(&slot.key);
        self.cluster.write(&statements.drop_listing, entry).await?;
        // Another server may have listed something there meanwhile.
        let key = (slot.list, slot.key, i64::MIN, "");
        let rows: Vec<ListedRow> = self.cluster.rows(&statements.listed, key).await?;
        if rows.is_empty() {
            return Ok(());
        }
        self.cluster.write(&statements.put_entry, entry).await
    }

    /// Removes results and the completion of that time and older ones: an upload that was sent
    /// again later stays.
    async fn forget_sent(&self, upload: &Sent) -> Result<()> {
        let Sent { time, commit } = upload;
        let mut after = None;
        loop {
            let (rows, goes_on) = self.page(commit, after).await?;
            after = rows.last_key_value().map(|(root, _)| *root);
            let mut reads: Several<'_, Vec<(JobId, i8)>> = Vec::new();
            for (root, row) in rows {
                reads.push(Box::pin(self.old(commit, root, row, *time)));
            }
            let old = stream::iter(reads).buffered(READS_AT_ONCE);
            let old: Vec<Vec<(JobId, i8)>> = old.try_collect().await?;
            let key = |(root, kind)| (KEY_BYTES, (commit.as_str(), keys::number(root), kind));
            let rows = old.into_iter().flatten().map(key).collect();
            self.cluster.write_rows(&self.cluster.statements.drop_tree_result, rows).await?;
            if !goes_on {
                break;
            }
        }
        if self.completed(commit).await?.is_some_and(|row| row.time <= *time) {
            let key = (commit.as_str(), NO_ROOT, tree_result::COMPLETED);
            self.cluster.write(&self.cluster.statements.drop_tree_result, key).await?;
        }
        Ok(())
    }

    /// Which rows on a tree go with an upload that was sent at that time.
    async fn old(
        &self,
        commit: &UploadId,
        root: JobId,
        row: Row,
        time: Timestamp,
    ) -> Result<Vec<(JobId, i8)>> {
        let is_old = |row: &TreeResultRow| row.time <= time;
        // A row that is to stay is left in the log too.
        if row.applied.as_ref().is_some_and(|row| !is_old(row)) {
            return Ok(refused_if(root, row.refused.as_ref().is_some_and(is_old)));
        }
        let row = self.settled(commit, root, row).await?;
        match &row.applied {
            // A refusal that came too late never counted.
            Some(applied) if is_old(applied) => {
                Ok(vec![(root, tree_result::APPLIED), (root, tree_result::REFUSED)])
            }
            None if row.is_reserved && self.is_vain(commit, root).await? => {
                let mut old = refused_if(root, row.refused.as_ref().is_some_and(is_old));
                old.push((root, tree_result::APPLIED));
                Ok(old)
            }
            _ => Ok(refused_if(root, row.refused.as_ref().is_some_and(is_old))),
        }
    }

    /// Whether a reservation without a result is too old for the result to come.
    async fn is_vain(&self, commit: &UploadId, root: JobId) -> Result<bool> {
        let statement = &self.cluster.statements.upload_noted;
        let row: Option<(Option<i64>,)> =
            self.cluster.row(statement, (commit.as_str(), keys::number(root))).await?;
        let written = row.and_then(|(written,)| written);
        let now = connect::now_millis() * 1_000;
        Ok(written.is_some_and(|written| now - written > VAIN.as_micros() as i64))
    }
}

fn encoded<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    coding::encode(row, &mut bytes)?;
    Ok(bytes)
}

fn refused_if(root: JobId, is_old: bool) -> Vec<(JobId, i8)> {
    if is_old { vec![(root, tree_result::REFUSED)] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_no_result() {
        let row = Row::of(vec![(tree_result::APPLIED, Some(0), None)]).unwrap();
        assert_eq!(row, Row { is_reserved: true, ..Row::default() });
    }
}
