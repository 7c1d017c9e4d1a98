//! Roots by time: a list of days, of their minutes, and of roots by minute.
//!
//! A root is listed before the commit that creates it, so a reader of the list makes sure that the
//! root exists. An entry names the commit that wrote it, and so belongs to that commit alone: when
//! the commit did not come true, and cannot any more, the reader that meets the entry removes it.
//! An entry without such a name, of an earlier version, stays unless its id is that of another job.
//!
//! A minute is divided into slots, each a partition, and listed with those that have roots.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jobtracker_model::{JobId, Timestamp};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    cluster::{Cluster, Several},
    connect::now_millis,
    keys::{self, NO_PARENT, listing},
    reservations::Reservations,
    trees::{IdReservation, TreeCache},
};
use crate::{Error, JobRow, Listed, Order, Result, RootKey, RootsQuery, coding, view::page::Page};

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
/// Rows in one answer of a list at most, and at least.
const LISTED: (i32, i32) = (500, 32);
/// Slots that are read at once at most; a list begins with those of one minute and doubles.
const WIDTH: usize = 16;
/// Slots of one minute. A root is in one of them.
///
/// A partition should not have many more than 100,000 rows, so this is for 26,000 roots a second.
const SLOTS: i64 = 16;

/// Lists of roots.
pub struct Roots {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<TreeCache>,
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
    pub fn new(
        cluster: Arc<Cluster>,
        trees: Arc<TreeCache>,
        reservations: Arc<Reservations>,
    ) -> Self {
        Self { cluster, trees, reservations, noted: Cache::new(NOTED) }
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

    /// Takes a deleted root off the list.
    pub async fn forget(&self, root: JobId, created: Timestamp) -> Result<()> {
        let (slot, place) = (Slot::of(keys::minute(created), root), created.millis());
        let (first, behind) = (key(root), format!("{}~", key(root)));
        let statements = &self.cluster.statements;
        let range = (listing::ROOTS, slot.key(), place, &first, place, &behind);
        let rows: Vec<(i64, String, Option<Vec<u8>>)> =
            self.cluster.rows(&statements.listed_between, range).await?;
        for (place, name, _) in rows {
            let row = (listing::ROOTS, slot.key(), place, name);
            self.cluster.write(&statements.drop_listing, row).await?;
        }
        Ok(())
    }

    /// Root jobs by time.
    pub async fn list(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
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
        let job = self.trees.job(key.id).await?;
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

/// A slot of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    minute: i64,
    number: i64,
}

impl Slot {
    /// The slot for a root that was created in this minute.
    fn of(minute: i64, id: JobId) -> Self {
        Self { minute, number: (id.get() % SLOTS as u64) as i64 }
    }

    /// Its number in the lists.
    fn key(self) -> i64 {
        self.minute * SLOTS + self.number
    }

    /// Its name in the list of minutes.
    fn name(self) -> String {
        format!("{:02}", self.number)
    }

    /// The slot of that name.
    fn named(minute: i64, name: &str) -> Option<Self> {
        let number = name.parse().ok().filter(|number| (0..SLOTS).contains(number))?;
        Some(Self { minute, number })
    }
}

/// `place`, key and body.
type ListRow = (i64, String, Option<Vec<u8>>);

/// An entry as it was found.
struct Entry {
    root: RootKey,
    /// Its row: list, slot, `place` and key.
    row: (i8, i64, i64, String),
    /// What is known of the commit that wrote it.
    body: Option<Vec<u8>>,
}

/// One slot of a list, from one end to the other.
struct SlotWalk {
    list: i8,
    slot: i64,
    order: Order,
    /// The last `place` that is asked for.
    edge: i64,
    /// The last entry that has been read.
    behind: (i64, String),
    /// How many rows are read next.
    count: i32,
    ready: VecDeque<ListRow>,
    is_over: bool,
}

impl SlotWalk {
    /// Entries behind one, itself left out, up to a `place`.
    fn new((list, slot): (i8, i64), order: Order, behind: (i64, String), edge: i64) -> Self {
        let (ready, count) = (VecDeque::new(), LISTED.0);
        Self { list, slot, order, edge, behind, count, ready, is_over: false }
    }

    async fn fill(&mut self, cluster: &Cluster) -> Result<()> {
        if self.is_over || !self.ready.is_empty() {
            return Ok(());
        }
        let key = (self.list, self.slot, self.behind.0, self.behind.1.as_str(), self.count);
        let (statement, edge, order) = match self.order {
            Order::Oldest => (&cluster.statements.listed_ahead, self.edge, 1),
            Order::Newest => (&cluster.statements.listed_back, self.edge, -1),
        };
        let rows: Vec<ListRow> = cluster.rows(statement, key).await?;
        let is_asked = |place: i64| (edge - place) * order >= 0;
        self.is_over = rows.len() < self.count as usize;
        self.count = (self.count * 2).min(LISTED.0);
        if let Some((place, key, _)) = rows.last() {
            self.behind = (*place, key.clone());
            self.is_over |= !is_asked(*place);
        }
        self.ready.extend(rows.into_iter().take_while(|(place, ..)| is_asked(*place)));
        Ok(())
    }

    async fn next(&mut self, cluster: &Cluster) -> Result<Option<ListRow>> {
        self.fill(cluster).await?;
        Ok(self.ready.pop_front())
    }

    async fn peek(&mut self, cluster: &Cluster) -> Result<Option<&ListRow>> {
        self.fill(cluster).await?;
        Ok(self.ready.front())
    }
}

/// A minute whose roots are being read.
struct Minute(Vec<SlotWalk>);

impl Minute {
    async fn fill(&mut self, cluster: &Cluster) -> Result<()> {
        future::try_join_all(self.0.iter_mut().map(|slot| slot.fill(cluster))).await?;
        Ok(())
    }

    async fn next(&mut self, cluster: &Cluster) -> Result<Option<Entry>> {
        self.fill(cluster).await?;
        let with_entry = self.0.iter_mut().filter(|slot| !slot.ready.is_empty());
        let first = with_entry.min_by(|one, other| {
            let head =
                |slot: &SlotWalk| slot.ready.front().map(|(place, key, _)| (*place, key.clone()));
            let order = head(one).cmp(&head(other));
            if one.order == Order::Newest { order.reverse() } else { order }
        });
        let Some(slot) = first else { return Ok(None) };
        let Some((place, key, body)) = slot.ready.pop_front() else { return Ok(None) };
        let unreadable = || Error::Corrupt(format!("a root is listed as {key}"));
        let root = root_key(place, &key).ok_or_else(unreadable)?;
        Ok(Some(Entry { root, row: (slot.list, slot.slot, place, key), body }))
    }
}

/// The entries that a query asks for, in its order.
struct Walk {
    order: Order,
    /// Entries behind this one.
    start: (i64, String),
    /// The last `place` of an entry.
    edge: i64,
    days: SlotWalk,
    minutes: Option<SlotWalk>,
    /// Minutes of which some entries have been read, in order.
    begun: VecDeque<Minute>,
    width: usize,
}

impl Walk {
    fn new(query: &RootsQuery) -> Self {
        let RootsQuery { from, to, order, after, .. } = *query;
        let entry = |after: RootKey| (after.time.millis(), key(after.id));
        let (start, edge) = match order {
            Order::Newest => {
                let end = (to.millis(), String::new());
                (after.map_or(end.clone(), |after| end.min(entry(after))), from.millis())
            }
            Order::Oldest => {
                let first = (from.millis(), String::new());
                let behind = |(place, key)| (place, key + LAST);
                let start = after.map(|after| behind(entry(after)).max(first.clone()));
                (start.unwrap_or(first), to.millis() - 1)
            }
        };
        let [first, last] = [start.0, edge].map(|place| keys::day(minute(place)));
        let days = SlotWalk::new((listing::ROOT_DAYS, 0), order, before(first, order), last);
        let (minutes, begun) = (None, VecDeque::new());
        Self { order, start, edge, days, minutes, begun, width: 1 }
    }

    /// Whether no entry can be asked for.
    fn is_empty(&self) -> bool {
        match self.order {
            Order::Newest => (self.edge, "") >= (self.start.0, self.start.1.as_str()),
            Order::Oldest => self.start.0 > self.edge,
        }
    }

    /// About this many entries; empty only at the end.
    async fn next(&mut self, cluster: &Cluster, count: usize) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        if self.is_empty() {
            return Ok(found);
        }
        while found.len() < count {
            let Some(first) = self.begun.front_mut() else {
                if !found.is_empty() || !self.more(cluster).await? {
                    break;
                }
                continue;
            };
            match first.next(cluster).await? {
                Some(entry) => found.push(entry),
                None => drop(self.begun.pop_front()),
            }
        }
        Ok(found)
    }

    /// Reads the beginnings of the next minutes; false when there are none.
    async fn more(&mut self, cluster: &Cluster) -> Result<bool> {
        let (mut minutes, mut slots) = (Vec::new(), 0);
        while slots < self.width
            && let Some(minute) = self.next_minute(cluster).await?
        {
            slots += minute.0.len();
            minutes.push(minute);
        }
        self.width = (self.width * 2).min(WIDTH);
        let mut reads: Several<'_, Minute> = Vec::new();
        for mut minute in minutes {
            reads.push(Box::pin(async move {
                minute.fill(cluster).await?;
                Ok(minute)
            }));
        }
        self.begun = stream::iter(reads).buffered(WIDTH).try_collect::<Vec<_>>().await?.into();
        Ok(!self.begun.is_empty())
    }

    async fn next_minute(&mut self, cluster: &Cluster) -> Result<Option<Minute>> {
        loop {
            if let Some(minutes) = &mut self.minutes {
                let mut lists = Vec::new();
                let first = minutes.peek(cluster).await?.map(|(minute, ..)| *minute);
                while minutes.peek(cluster).await?.map(|(minute, ..)| *minute) == first
                    && let Some((minute, name, _)) = minutes.ready.pop_front()
                {
                    lists.push(list_of(minute, &name)?);
                }
                if !lists.is_empty() {
                    return Ok(Some(self.minute(lists)));
                }
            }
            let Some((day, ..)) = self.days.next(cluster).await? else { return Ok(None) };
            let (first, last) = (minute(self.start.0), minute(self.edge));
            let (list, behind) = ((listing::ROOT_MINUTES, day), before(first, self.order));
            self.minutes = Some(SlotWalk::new(list, self.order, behind, last));
        }
    }

    /// Reads from each of the lists about as much of a page as it is likely to have.
    fn minute(&self, lists: Vec<(i8, i64)>) -> Minute {
        let count = (LISTED.0 / lists.len() as i32).max(LISTED.1);
        let walk = |list| SlotWalk::new(list, self.order, self.start.clone(), self.edge);
        let slot = |list| SlotWalk { count, ..walk(list) };
        Minute(lists.into_iter().map(slot).collect())
    }
}

/// What stands behind every key of a `place`, and behind every entry of a root after its key.
const LAST: &str = "~";

/// Where a list begins in this order to have the entries of this `place` and what is behind.
fn before(place: i64, order: Order) -> (i64, String) {
    match order {
        Order::Oldest => (place - 1, LAST.into()),
        Order::Newest => (place + 1, String::new()),
    }
}

/// The list and its slot for a slot of a minute. Earlier versions had no slots, and minutes no
/// name.
fn list_of(minute: i64, name: &str) -> Result<(i8, i64)> {
    if name.is_empty() {
        return Ok((listing::ROOTS_UNDIVIDED, minute));
    }
    let unreadable = || Error::Corrupt(format!("a minute has the bad slot {name}"));
    let slot = Slot::named(minute, name).ok_or_else(unreadable)?;
    Ok((listing::ROOTS, slot.key()))
}

/// The minute of a time in a list.
fn minute(millis: i64) -> i64 {
    Timestamp::from_millis(millis).map_or(0, keys::minute)
}

/// The root that an entry names. Its key begins with the id; the name of the commit that wrote it
/// may follow.
fn root_key(place: i64, key: &str) -> Option<RootKey> {
    let time = Timestamp::from_millis(place)?;
    let id = key.split('/').next()?.parse().ok().and_then(JobId::new)?;
    Some(RootKey { time, id })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_the_order_of_roots() {
        let id = |id: u64| JobId::new(id).unwrap();
        let ids = [1, 9, 10, 99, 1_000_000, i64::MAX as u64].map(id);
        let names = ids.map(|id| format!("{}/{}", key(id), Uuid::new_v4()));
        assert!(ids.map(key).is_sorted() && names.is_sorted());
        for (id, name) in ids.into_iter().zip(names) {
            let time = Timestamp::from_millis(7).unwrap();
            for name in [name.as_str(), &key(id)] {
                assert_eq!(root_key(7, name), Some(RootKey { time, id }));
                assert!(key(id).as_str() <= name, "a page behind a root has no entry of it");
            }
        }
        assert_eq!(root_key(7, ""), None);
        assert_eq!(root_key(-1, &key(id(1))), None);
    }

    #[test]
    fn roots_of_a_minute_are_in_all_slots_of_it() {
        let mut slots: BTreeMap<Slot, u32> = BTreeMap::new();
        for minute in [0, 28_333_333] {
            for id in (1..=1_600).filter_map(JobId::new) {
                *slots.entry(Slot::of(minute, id)).or_default() += 1;
            }
        }
        assert!(slots.len() == 32 && slots.values().all(|count| *count == 100), "{slots:?}");
        let keys: Vec<i64> = slots.keys().map(|slot| slot.key()).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
        for slot in slots.into_keys() {
            assert_eq!(Slot::named(slot.minute, &slot.name()), Some(slot));
        }
        for bad in ["", "16", "-1", "x"] {
            assert_eq!(Slot::named(7, bad), None, "{bad}");
        }
    }
}
