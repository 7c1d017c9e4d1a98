//! Follow-ups by time: what is due, and what has failed.
//!
//! An entry of a list is a row of its own. It is written plainly *before* the commit that puts the
//! follow-up there, so that no committed follow-up can be missing. A reader of the list asks the
//! tree: an entry counts when the tree
//! says so. Where the tree says otherwise, the entry was left by a commit that did not come true,
//! or that others followed. It is
//! removed as soon as that commit cannot come true any more: when the tree has gone on or, some
//! time later, after a fence.
//!
//! Entries
//! are kept in slots by minute, and each minute is listed with its slots. An entry is in a slot of
//! its own minute or, if that minute
//! had passed when the entry was written, of the minute of the writing: nothing is ever added to
//! slots of the past. So an old slot
//! that is empty stays empty, and is taken off the list.

mod low_water;
mod slot;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::JobId;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use self::slot::{PARTS, part};
use self::{low_water::LowWaterMarks, slot::Slot, walk::Walk};
use super::{
    ScyllaOptions,
    clocks::{Clocks, MINUTE, WRITTEN_WITHIN},
    cluster::{Cluster, Several},
    connect::now_millis,
    fence::fence,
    keys::listing,
    reads::Reads,
    trees::Trees,
};
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, IndexQuery, Listed, Result, Row, Version,
    coding,
    view::page::{Page, follow_up_bytes},
};

/// Slots that are written, and entries that are checked, at once.
const AT_ONCE: usize = 16;
/// Entries that are taken from a list at a time at most.
const TAKEN: usize = 64;
/// Bytes that an entry takes, about, and those of a minute.
const PLACE_BYTES: usize = 130;
const MINUTE_BYTES: usize = 40;
/// An entry this old whose follow-up is still missing: the commit that wrote it is fenced.
const LEFT_MILLIS: i64 = 60_000;
/// This long after its end no server writes to a slot any more, with time to spare: entries of up
/// to a minute ago are in time, and writing them takes no longer than it may. Clocks come on top.
const CLOSED_MILLIS: i64 = 180_000;

/// The lists by time.
pub struct Indexes {
    cluster: Arc<Cluster>,
    trees: Arc<Trees>,
    reads: Arc<Reads>,
    closed_millis: i64,
    low_water: LowWaterMarks,
}

/// The commit that wrote an entry.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Writer {
    root: JobId,
    /// The version that it follows.
    base: Version,
    /// When it wrote, in milliseconds.
    time: i64,
}

type PutRow = (i8, i64, i64, String, Option<Vec<u8>>);
/// A minute in its list: list, slot, `place` and key.
type MinuteRow = (i8, i64, i64, String);

/// An entry as it was found.
struct Place {
    key: IndexKey,
    writer: Writer,
    slot: i64,
    name: String,
}

/// The trees of some entries that have been read, each with whether it was fenced since.
type Fences = HashMap<JobId, OnceCell<()>>;

/// The tree's judgement of an entry.
enum Seen {
    Right(Box<FollowUp>),
    /// Its commit may be under way.
    Early,
    /// It can never become right.
    Wrong,
}

impl Indexes {
    pub fn new(
        cluster: &Arc<Cluster>,
        trees: &Arc<Trees>,
        reads: &Arc<Reads>,
        options: &ScyllaOptions,
    ) -> Arc<Self> {
        // Two servers may be off in opposite directions.
        let skew = i64::try_from(options.max_clock_skew.as_millis() * 2).unwrap_or(i64::MAX / 4);
        let (closed_millis, low_water) =
            (CLOSED_MILLIS + skew, LowWaterMarks::new(options.max_clock_skew));
        let (cluster, trees, reads) = (Arc::clone(cluster), Arc::clone(trees), Arc::clone(reads));
        Arc::new(Self { cluster, trees, reads, closed_millis, low_water })
    }

    /// Lists the follow-ups of commits, each with the version that it follows, before they are
    /// sent.
    pub async fn note(&self, commits: &[(JobId, Version, &[Row])]) -> Result<()> {
        let begun = Clocks::now();
        let now = begun.millis;
        let mut slots: BTreeMap<(i8, i64), Vec<(usize, PutRow)>> = BTreeMap::new();
        let mut minutes: BTreeMap<(i8, i64), BTreeSet<(i64, String)>> = BTreeMap::new();
        for (root, base, rows) in commits {
            let mut body = Vec::new();
            coding::encode(&Writer { root: *root, base: *base, time: now }, &mut body)?;
            let (part, writer) = (part(*root), Uuid::new_v4());
            for (index, key) in rows.iter().filter_map(Row::place) {
                let own = key.time.millis().div_euclid(MINUTE);
                let written = own.max((now - MINUTE).div_euclid(MINUTE));
                let slot = Slot::of(written, key.id);
                let place = (listing::INDEX[index as usize], slot.key(part));
                let name = format!("{}/{writer}", name(key.id, key.key));
                let row = (place.0, place.1, key.time.millis(), name, Some(body.clone()));
                slots.entry(place).or_default().push((PLACE_BYTES, row));
                let lists =
                    if written == own { listing::INDEX_MINUTES } else { listing::INDEX_LATE };
                let minutes = minutes.entry((lists[index as usize], i64::from(part))).or_default();
                minutes.insert((own, slot.name()));
            }
        }
        let statements = &self.cluster.statements;
        let mut writes: Several<'_, ()> = Vec::new();
        for rows in slots.into_values() {
            writes.push(Box::pin(self.cluster.write_rows(&statements.put_listing, rows)));
        }
        for ((list, slot), minutes) in minutes {
            let row = |(own, key)| (MINUTE_BYTES, (list, slot, own, key));
            let rows: Vec<(usize, MinuteRow)> = minutes.into_iter().map(row).collect();
            writes.push(Box::pin(self.cluster.write_rows(&statements.put_entry, rows)));
        }
        if writes.is_empty() {
            return Ok(());
        }
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        match begun.elapsed() > WRITTEN_WITHIN {
            true => Err(Error::Unavailable("the cluster is slow; try again".into())),
            false => Ok(()),
        }
    }

    /// One page of a list.
    pub async fn list(&self, query: IndexQuery) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        let mut page = Page::new(query.limit);
        let mut walk = Walk::new(self, &query);
        let (mut looked, mut taken) = (None, false);
        // One more than the page may have tells whether the list goes on.
        let count = query.limit.items.saturating_add(1).min(TAKEN);
        loop {
            let places = walk.next(count).await?;
            if places.is_empty() {
                return Ok(page.finish());
            }
            let roots = places.iter().map(|place| place.writer.root);
            let fences: Fences = roots.map(|root| (root, OnceCell::new())).collect();
            let look = |place| self.look(query.index, place, &fences);
            let looks: Vec<_> = places.iter().map(look).collect();
            let mut looks = stream::iter(looks).buffered(AT_ONCE);
            for Place { key, .. } in &places {
                let row = looks.try_next().await?.flatten();
                // Several commits may have written an entry for one follow-up.
                if looked != Some(*key) {
                    if page.look(*key).is_break() {
                        return Ok(page.finish());
                    }
                    (looked, taken) = (Some(*key), false);
                }
                if let Some(row) = row.filter(|_| !taken) {
                    taken = true;
                    let bytes = follow_up_bytes(&row);
                    page.take((*key, row), bytes);
                }
            }
        }
    }

    /// The follow-up of an entry, if it is there; an entry that is wrong is removed.
    async fn look(
        &self,
        index: IndexId,
        place: &Place,
        fences: &Fences,
    ) -> Result<Option<FollowUp>> {
        let Place { key, writer, slot, name } = place;
        let mut seen = self.see(index, *key, *writer).await?;
        if matches!(seen, Seen::Early) && writer.time + LEFT_MILLIS < now_millis() {
            // Its commit refreshed the head before it wrote the entry, so it follows the head from
            // before the fence.
            let fence = || fence(&self.cluster, &self.trees, writer.root, None);
            if let Some(fenced) = fences.get(&writer.root) {
                fenced.get_or_try_init(fence).await?;
                seen = match self.see(index, *key, *writer).await? {
                    Seen::Early => Seen::Wrong,
                    seen => seen,
                };
            }
        }
        match seen {
            Seen::Right(row) => Ok(Some(*row)),
            Seen::Early => Ok(None),
            Seen::Wrong => {
                let list = listing::INDEX[index as usize];
                let row = (list, *slot, key.time.millis(), name.as_str());
                self.cluster.write(&self.cluster.statements.drop_listing, row).await?;
                Ok(None)
            }
        }
    }

    async fn see(&self, index: IndexId, key: IndexKey, writer: Writer) -> Result<Seen> {
        let IndexKey { time, id, key } = key;
        let (version, row) = match self.reads.follow_up(id, key).await? {
            Some(found) => found,
            None => {
                // The job is not there, or is being created now: only what is read after the
                // version says what became of commits before it.
                let tail = self.trees.refresh(&self.trees.tree(writer.root)).await?;
                let version = tail.map_or(0, |tail| tail.version);
                let found = self.reads.follow_up(id, key).await?;
                (version, found.and_then(|(_, row)| row))
            }
        };
        Ok(match row {
            Some(row) if row.place() == Some((index, time)) => Seen::Right(Box::new(row)),
            _ if version > writer.base => Seen::Wrong,
            _ => Seen::Early,
        })
    }

    /// The first minute that may have a slot that is still open for writes at this time.
    fn first_open(&self, now: i64) -> i64 {
        (now - self.closed_millis).div_euclid(MINUTE)
    }
}

/// A follow-up, in the order of lists by time.
fn name(id: JobId, key: FollowUpKey) -> String {
    let (kind, number) = key.parts();
    format!("{:019}/{kind}/{number:010}", id.get())
}

/// A name behind all entries of a follow-up.
fn after_name(after: IndexKey) -> String {
    format!("{}/~", name(after.id, after.key))
}

fn follow_up(name: &str) -> Option<(JobId, FollowUpKey)> {
    let mut parts = name.split('/');
    let id = parts.next()?.parse().ok().and_then(JobId::new)?;
    let kind = parts.next()?.parse().ok()?;
    Some((id, FollowUpKey::of(kind, parts.next()?.parse().ok()?)?))
}

/// Slot, key and body of an entry, or of a listed minute, as if it had been written this many
/// minutes earlier.
#[cfg(feature = "testing")]
pub fn aged(
    slot: i64,
    key: String,
    body: Option<Vec<u8>>,
    minutes: i64,
) -> (i64, String, Option<Vec<u8>>) {
    let Some(mut body) = body else {
        let written = Slot::named(&key).expect("a minute is listed with a slot");
        return (slot, written.earlier(minutes).name(), None);
    };
    let mut writer: Writer = coding::decode("entry", &body).expect("an entry has its writer");
    writer.time -= minutes * MINUTE;
    coding::encode(&writer, &mut body).expect("a writer can be written");
    (slot::earlier_key(slot, minutes), key, Some(body))
}

#[cfg(test)]
mod tests {
    use jobtracker_model::Timestamp;

    use super::*;

    #[test]
    fn names_are_in_the_order_of_lists() {
        let id = |id| JobId::new(id).unwrap();
        let all = [
            (id(1), FollowUpKey::Delivery(9)),
            (id(9), FollowUpKey::Check(9)),
            (id(9), FollowUpKey::Check(10)),
            (id(9), FollowUpKey::Delivery(0)),
            (id(10), FollowUpKey::Check(0)),
            (JobId::MAX, FollowUpKey::Delivery(u32::MAX)),
        ];
        let names = all.map(|(id, key)| name(id, key));
        assert!(names.is_sorted());
        for (name, (id, key)) in names.iter().zip(all) {
            let place = format!("{name}/{}", Uuid::new_v4());
            assert_eq!(follow_up(&place), Some((id, key)));
            let after = after_name(IndexKey { time: Timestamp::MIN, id, key });
            assert!(*name < place && place < after);
        }
        assert_eq!(follow_up("1/7"), None);
        assert_eq!(follow_up(""), None);
    }
}
