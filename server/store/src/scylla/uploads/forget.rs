//! Forgetting uploads of long ago.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp, upload::UploadId};

use super::{NO_ROOT, Uploads, standing::Row};
use crate::{
    Error, Result, TreeResultRow,
    scylla::{
        clocks::MINUTE,
        cluster::{READS_AT_ONCE, Several},
        connect,
        keys::{self, listing, tree_result},
    },
};

/// Sendings that are forgotten together.
const SENDINGS: usize = 100;
/// A reservation that is older than this and has no result is of an upload that never came true.
/// How long an upload may take is a matter of seconds.
const VAIN: Duration = Duration::from_secs(3600);
/// Bytes that the key of a result takes, about.
const KEY_BYTES: usize = 40;

type ListedRow = (i64, String, Option<Vec<u8>>);

/// The name of a minute in the list of hours.
pub(super) fn name(minute: i64) -> String {
    format!("{minute:012}")
}

/// A minute, or an hour of an earlier version, with a list of sendings.
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
            let (list, end) = (listing::SENDINGS_OF_HOURS, (hour + 1) * 60 * MINUTE);
            return Ok(Self { hour, name, list, key: hour, end });
        }
        let unreadable = |_| Error::Corrupt(format!("an hour has the bad minute {name}"));
        let minute: i64 = name.parse().map_err(unreadable)?;
        Ok(Self { hour, name, list: listing::SENDINGS, key: minute, end: (minute + 1) * MINUTE })
    }
}

/// A sending and its entry in the list.
struct Sending {
    time: Timestamp,
    commit: UploadId,
}

impl Uploads {
    /// Forgets what was sent before that time, oldest first, up to `limit` sendings.
    pub async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        let mut behind = (i64::MIN, String::new());
        while forgotten < limit {
            let key = (listing::SENDING_HOURS, 0_i64, behind.0, &behind.1);
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

    async fn forget_slot(&self, slot: &Slot, before: Timestamp, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        while forgotten < limit {
            let due = self.due(slot, before, (limit - forgotten).min(SENDINGS)).await?;
            let Some(last) = due.last() else {
                if slot.end <= before.millis() {
                    self.end_slot(slot).await?;
                }
                break;
            };
            let last = last.time.millis();
            for sending in &due {
                self.forget_sending(sending).await?;
            }
            self.unlist(slot, &due, last).await?;
            forgotten += due.len();
        }
        Ok(forgotten)
    }

    /// The oldest sendings of a slot that are old enough.
    async fn due(&self, slot: &Slot, before: Timestamp, most: usize) -> Result<Vec<Sending>> {
        let key = (slot.list, slot.key, i64::MIN, "");
        let rows: Vec<ListedRow> = self.cluster.rows(&self.cluster.statements.listed, key).await?;
        let sending = |(time, commit, _): ListedRow| {
            let (time, commit) = (Timestamp::from_millis(time)?, commit.parse().ok()?);
            Some(Sending { time, commit })
        };
        let rows = rows.into_iter().filter_map(sending);
        Ok(rows.take_while(|sending| sending.time < before).take(most).collect())
    }

    /// Takes sendings off their list. Most of them by one range, which leaves less behind than this
    /// many rows; no server lists anything that old any more.
    async fn unlist(&self, slot: &Slot, sendings: &[Sending], last: i64) -> Result<()> {
        let statements = &self.cluster.statements;
        let range = (slot.list, slot.key, last);
        self.cluster.write(&statements.drop_listed_before, range).await?;
        let latest = sendings.iter().filter(|sending| sending.time.millis() == last);
        let entry = |sending: &Sending| {
            (KEY_BYTES, (slot.list, slot.key, last, sending.commit.to_string()))
        };
        self.cluster.write_rows(&statements.drop_listing, latest.map(entry).collect()).await
    }

    /// Takes an empty slot off the list.
    async fn end_slot(&self, slot: &Slot) -> Result<()> {
        let statements = &self.cluster.statements;
        let entry = (listing::SENDING_HOURS, 0_i64, slot.hour, slot.name.as_str());
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
    async fn forget_sending(&self, sending: &Sending) -> Result<()> {
        let Sending { time, commit } = sending;
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
        if self.get_upload(commit).await?.is_some_and(|row| row.time <= *time) {
            let key = (commit.as_str(), NO_ROOT, tree_result::COMPLETED);
            self.cluster.write(&self.cluster.statements.drop_tree_result, key).await?;
        }
        Ok(())
    }

    /// Which rows on a tree go with a sending of that time.
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

fn refused_if(root: JobId, is_old: bool) -> Vec<(JobId, i8)> {
    if is_old { vec![(root, tree_result::REFUSED)] } else { Vec::new() }
}
