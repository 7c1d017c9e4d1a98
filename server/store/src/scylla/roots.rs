//! Roots by time: a list of days, of their minutes, and of roots by minute.
//!
//! A root is listed before the commit that creates it, so a reader of the list makes sure that the
//! root exists. An entry names the commit that wrote it, and so belongs to that commit alone: when
//! the commit did not come true, and cannot any more, the reader that meets the entry removes it.
//! An entry without such a name, of an earlier version, stays unless its id is that of another job.
//!
//! A minute is divided into slots, each a partition, and listed with those that have roots.

mod slot;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::{
    slot::Slot,
    walk::{Entry, Walk},
};
use super::{
    cluster::{Cluster, Several},
    connect::now_millis,
    keys::{self, NO_PARENT, listing},
    reads::Reads,
    reservations::Reservations,
    trees::IdReservation,
};
use crate::{JobRow, Listed, Result, RootKey, RootsQuery, coding, view::page::Page};

/// Slots, minutes and days that are known to be listed.
const NOTED: usize = 10_000;
/// Partitions that are written, and roots that are read, at once.
const AT_ONCE: usize = 32;
/// Entries that are taken from the lists at once at most.
const TAKEN: usize = 500;
/// Size of an entry, about, and of a minute or day.
const ENTRY_BYTES: usize = 110;
const SLOT_BYTES: usize = 40;
/// An entry this old whose root is still missing: the commit that wrote it is fenced.
const LEFT_MILLIS: i64 = 60_000;

/// Lists of roots.
pub struct Roots {
    cluster: Arc<Cluster>,
    reads: Arc<Reads>,
    reservations: Arc<Reservations>,
    /// Lists and slots that have been noted in the list above them.
    noted: Cache<(i8, i64), ()>,
}

/// The commit that wrote an entry.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Writer {
    /// When it wrote, in milliseconds.
    time: i64,
    /// The stage that the root is staged in, or none.
    stage: i64,
}

/// List, slot, `place`, key and body.
type Row = (i8, i64, i64, String, Option<Vec<u8>>);

impl Roots {
    pub fn new(cluster: Arc<Cluster>, reads: Arc<Reads>, reservations: Arc<Reservations>) -> Self {
        Self { cluster, reads, reservations, noted: Cache::new(NOTED) }
    }

    /// Lists new roots before they are created, by a commit or in a stage.
    pub async fn note_roots(&self, roots: &[(JobId, Timestamp)], stage: i64) -> Result<()> {
        let (writer, mut body) = (Uuid::new_v4(), Vec::new());
        coding::encode(&Writer { time: now_millis(), stage }, &mut body)?;
        let mut entries: BTreeMap<i64, Vec<(usize, Row)>> = BTreeMap::new();
        let mut above: BTreeMap<(i8, i64), BTreeSet<(i64, String)>> = BTreeMap::new();
        let mut new = Vec::new();
        for (id, time) in roots {
            let minute = keys::minute(*time);
            let (slot, day) = (Slot::of(minute, *id), keys::day(minute));
            let name = format!("{}/{writer}", key(*id));
            let row = (listing::ROOTS, slot.key(), time.millis(), name, Some(body.clone()));
            entries.entry(slot.key()).or_default().push((ENTRY_BYTES, row));
            if self.noted.get(&(listing::ROOTS, slot.key())).is_none() {
                let minutes = above.entry((listing::ROOT_MINUTES, day)).or_default();
                minutes.insert((minute, slot.name()));
                new.push((listing::ROOTS, slot.key()));
            }
            if self.noted.get(&(listing::ROOT_MINUTES, day)).is_none() {
                let days = above.entry((listing::ROOT_DAYS, 0)).or_default();
                days.insert((day, String::new()));
                new.push((listing::ROOT_MINUTES, day));
            }
        }
        let statements = &self.cluster.statements;
        let mut writes: Several<'_, ()> = Vec::new();
        for rows in entries.into_values() {
            writes.push(Box::pin(self.cluster.write_rows(&statements.put_listing, rows)));
        }
        for ((list, slot), entries) in above {
            let row = |(place, key)| (SLOT_BYTES, (list, slot, place, key));
            let rows: Vec<_> = entries.into_iter().map(row).collect();
            writes.push(Box::pin(self.cluster.write_rows(&statements.put_entry, rows)));
        }
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        for slot in new {
            self.noted.insert(slot, ());
        }
        Ok(())
    }

    /// Root jobs, newest first.
    pub async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        let mut page = Page::new(query.limit);
        let mut walk = Walk::new(&query);
        let mut last = None;
        // One more than the page may have tells whether the list goes on.
        let mut count = query.limit.items.saturating_add(1).clamp(1, AT_ONCE);
        loop {
            let entries = walk.next(&self.cluster, count).await?;
            if entries.is_empty() {
                return Ok(page.finish());
            }
            count = (count * 2).min(TAKEN);
            let mut reads: Several<'_, Option<(RootKey, JobRow)>> = Vec::new();
            for entry in entries {
                reads.push(Box::pin(self.root(entry)));
            }
            let mut roots = stream::iter(reads).buffered(AT_ONCE);
            while let Some(root) = roots.try_next().await? {
                // One root may have been listed by several commits.
                let Some((key, job)) = root.filter(|(key, _)| last != Some(*key)) else { continue };
                last = Some(key);
                if page.look(key).is_break() {
                    return Ok(page.finish());
                }
                page.take_job(job);
            }
        }
    }

    /// The root of an entry, if it has been created, and at that time. An entry that is wrong is
    /// removed.
    async fn root(&self, entry: Entry) -> Result<Option<(RootKey, JobRow)>> {
        let key = entry.root;
        let job = self.reads.get_job(key.id).await?;
        let is_there = job.is_some();
        let job = job.filter(|job| job.parent.is_none() && job.status.create_time == key.time);
        if let Some(job) = job {
            return Ok(Some((key, job)));
        }
        if let Err(error) = self.tidy(entry, is_there).await {
            tracing::debug!(%error, root = %key.id, "an entry of the list of roots stays");
        }
        Ok(None)
    }

    /// Removes an entry that is wrong. If it stays, the next list that meets it tries again.
    async fn tidy(&self, entry: Entry, is_there: bool) -> Result<()> {
        if is_there || self.is_dead(&entry).await? {
            let statement = &self.cluster.statements.drop_listing;
            self.cluster.write(statement, entry.row).await?;
        }
        Ok(())
    }

    /// Whether the root of an entry that is not there never will be.
    async fn is_dead(&self, entry: &Entry) -> Result<bool> {
        // Entries of earlier versions do not name their commit, which may be a slow upload.
        let Some(body) = &entry.body else { return Ok(false) };
        let Writer { time, stage } = coding::decode("entry of a root", body)?;
        if now_millis() < time.saturating_add(LEFT_MILLIS) {
            return Ok(false);
        }
        let id = entry.root.id;
        let reservation = IdReservation { id, root: id, stage, parent: NO_PARENT };
        Ok(!self.reservations.is_in_the_way(&reservation).await?)
    }
}

/// The beginning of the keys of a root's entries, in the order of ids.
fn key(id: JobId) -> String {
    format!("{:019}", id.get())
}

/// The body of an entry as if it had been written this many minutes earlier.
#[cfg(feature = "testing")]
pub fn aged(body: &[u8], minutes: i64) -> Vec<u8> {
    let mut writer: Writer = coding::decode("entry", body).expect("an entry has its writer");
    writer.time -= minutes * 60_000;
    let mut body = Vec::new();
    coding::encode(&writer, &mut body).expect("a writer can be written");
    body
}
