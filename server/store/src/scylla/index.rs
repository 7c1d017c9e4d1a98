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

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jobtracker_model::{JobId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use self::slot::{PARTS, part};
use self::{low_water::LowWaterMarks, slot::Slot};
use super::{
    ScyllaOptions,
    clocks::{Clocks, MINUTE, WRITTEN_WITHIN},
    cluster::{Cluster, Several},
    connect::now_millis,
    fence::fence,
    keys::listing,
    trees::TreeCache,
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
/// Rows in one answer of a list.
const LISTED: usize = 500;

/// The lists by time.
pub struct IndexTables {
    cluster: Arc<Cluster>,
    trees: Arc<TreeCache>,
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

impl IndexTables {
    pub fn new(
        cluster: &Arc<Cluster>,
        trees: &Arc<TreeCache>,
        options: &ScyllaOptions,
    ) -> Arc<Self> {
        // Two servers may be off in opposite directions.
        let skew = i64::try_from(options.max_clock_skew.as_millis() * 2).unwrap_or(i64::MAX / 4);
        let (closed_millis, low_water) =
            (CLOSED_MILLIS + skew, LowWaterMarks::new(options.max_clock_skew));
        let (cluster, trees) = (Arc::clone(cluster), Arc::clone(trees));
        Arc::new(Self { cluster, trees, closed_millis, low_water })
    }

    /// One page of an index.
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
            for (index, key) in rows.iter().filter_map(Row::entry) {
                let own = key.time.millis().div_euclid(MINUTE);
                let written = own.max((now - MINUTE).div_euclid(MINUTE));
                let slot = Slot::of(written, key.id);
                let lists = listing::Index::of(index);
                let place = (lists.entries, slot.key(part));
                let name = format!("{}/{writer}", name(key.id, key.key));
                let row = (place.0, place.1, key.time.millis(), name, Some(body.clone()));
                slots.entry(place).or_default().push((PLACE_BYTES, row));
                let list = if written == own { lists.minutes } else { lists.late };
                let minutes = minutes.entry((list, i64::from(part))).or_default();
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
                let list = listing::Index::of(index).entries;
                let row = (list, *slot, key.time.millis(), name.as_str());
                self.cluster.write(&self.cluster.statements.drop_listing, row).await?;
                Ok(None)
            }
        }
    }

    async fn see(&self, index: IndexId, key: IndexKey, writer: Writer) -> Result<Seen> {
        let IndexKey { time, id, key } = key;
        let (version, row) = match self.trees.follow_up(id, key).await? {
            Some(found) => found,
            None => {
                // The job is not there, or is being created now: only what is read after the
                // version says what became of commits before it.
                let tail = self.trees.refresh(&self.trees.tree(writer.root)).await?;
                let version = tail.map_or(0, |tail| tail.version);
                let found = self.trees.follow_up(id, key).await?;
                (version, found.and_then(|(_, row)| row))
            }
        };
        Ok(match row {
            Some(row) if row.entry() == Some((index, time)) => Seen::Right(Box::new(row)),
            _ if version > writer.base => Seen::Wrong,
            _ => Seen::Early,
        })
    }

    /// The first minute that may have a slot that is still open for writes at this time.
    fn first_open(&self, now: i64) -> i64 {
        (now - self.closed_millis).div_euclid(MINUTE)
    }
}

type ListRow = (i64, String, Option<Vec<u8>>);

/// A list of minutes with their slots, from one minute on.
struct Minutes {
    list: i8,
    part: i64,
    behind: (i64, String),
    /// Each minute with a slot of it.
    ready: VecDeque<(i64, Slot)>,
    is_over: bool,
}

impl Minutes {
    fn new(list: i8, part: u32, first: i64) -> Self {
        // Names are not empty, so this is before all of that minute.
        let behind = (first, String::new());
        Self { list, part: i64::from(part), behind, ready: VecDeque::new(), is_over: false }
    }

    async fn head(&mut self, cluster: &Cluster) -> Result<Option<i64>> {
        if self.ready.is_empty() && !self.is_over {
            let key = (self.list, self.part, self.behind.0, self.behind.1.as_str());
            let rows: Vec<ListRow> = cluster.rows(&cluster.statements.listed, key).await?;
            self.is_over = rows.len() < LISTED;
            for (minute, name, _) in rows {
                let unreadable = || Error::Corrupt(format!("a minute has the bad slot {name}"));
                let slot = Slot::named(&name).ok_or_else(unreadable)?;
                self.ready.push_back((minute, slot));
                self.behind = (minute, name);
            }
        }
        Ok(self.ready.front().map(|(minute, _)| *minute))
    }
}

/// The entries of one minute in one slot, or some of them.
struct Slice {
    /// In which list the minute is listed with this slot.
    listed: (i8, Slot),
    key: i64,
    behind: (i64, String),
    ready: VecDeque<Place>,
    is_over: bool,
    is_empty: bool,
}

impl Slice {
    async fn fill(&mut self, cluster: &Cluster, list: i8, end: i64) -> Result<()> {
        if self.is_over || !self.ready.is_empty() {
            return Ok(());
        }
        let key = (list, self.key, self.behind.0, self.behind.1.as_str(), end, "");
        let rows: Vec<ListRow> = cluster.rows(&cluster.statements.listed_between, key).await?;
        self.is_over = rows.len() < LISTED;
        for (time, name, body) in rows {
            (self.behind, self.is_empty) = ((time, name.clone()), false);
            self.ready.push_back(read(self.key, time, name, body)?);
        }
        Ok(())
    }
}

fn read(slot: i64, time: i64, name: String, body: Option<Vec<u8>>) -> Result<Place> {
    let found = Timestamp::from_millis(time).zip(follow_up(&name));
    let (Some((time, (id, key))), Some(body)) = (found, body) else {
        return Err(Error::Corrupt(format!("a list by time has the unreadable entry {name}")));
    };
    let writer = coding::decode("entry of a list by time", &body)?;
    Ok(Place { key: IndexKey { time, id, key }, writer, slot, name })
}

/// A minute that is being read.
struct Minute {
    minute: i64,
    /// The end of the range: entries before this time.
    end: i64,
    /// Whether the whole minute is asked for.
    is_whole: bool,
    /// When the reading began.
    since: i64,
    slices: Vec<Slice>,
}

/// The entries that a query asks for, oldest first.
struct Walk<'a> {
    indexes: &'a IndexTables,
    query: &'a IndexQuery,
    /// The range begins behind this entry.
    begin: (i64, String),
    in_time: Minutes,
    late: Minutes,
    minute: Option<Minute>,
    /// When it began, until it is known which minute is the first.
    since: Option<Clocks>,
}

impl<'a> Walk<'a> {
    fn new(indexes: &'a IndexTables, query: &'a IndexQuery) -> Self {
        let after = query.after.map(|after| (after.time.millis(), after_name(after)));
        let from = (query.from.millis(), String::new());
        let begin = after.map_or(from.clone(), |after| after.max(from));
        let (lists, first) = (listing::Index::of(query.index), begin.0.div_euclid(MINUTE));
        let now = Clocks::now();
        let known = indexes.low_water.get((lists.minutes, query.part), now);
        let in_time = Minutes::new(lists.minutes, query.part, first.max(known));
        let late = Minutes::new(lists.late, query.part, first);
        let since = (first <= known).then_some(now);
        Self { indexes, query, begin, in_time, late, minute: None, since }
    }

    /// Some entries; empty only at the end.
    async fn next(&mut self, count: usize) -> Result<Vec<Place>> {
        let (cluster, list) = (&self.indexes.cluster, listing::Index::of(self.query.index).entries);
        let mut found = Vec::new();
        while found.len() < count {
            let Some(minute) = &mut self.minute else {
                self.minute = self.next_minute().await?;
                if self.minute.is_none() {
                    break;
                }
                continue;
            };
            let end = minute.end;
            let fills = minute.slices.iter_mut().map(|slice| slice.fill(cluster, list, end));
            future::try_join_all(fills).await?;
            let slices = minute.slices.iter_mut().filter(|slice| !slice.ready.is_empty());
            let first = slices.min_by(|one, other| {
                let head = |slice: &Slice| slice.ready.front().map(|place| place.key);
                head(one).cmp(&head(other))
            });
            match first {
                Some(slice) => found.extend(slice.ready.pop_front()),
                None => self.leave_minute().await?,
            }
        }
        Ok(found)
    }

    /// The next minute that is listed, with all its slots.
    async fn next_minute(&mut self) -> Result<Option<Minute>> {
        let (since, cluster) = (now_millis(), &self.indexes.cluster);
        let heads = future::try_join(self.in_time.head(cluster), self.late.head(cluster));
        let (in_time, late) = heads.await?;
        if let Some(since) = self.since.take() {
            // Before the open minutes, no server writes entries in time any more.
            let open = self.indexes.first_open(since.millis);
            let (list, first) = (self.in_time.list, in_time.unwrap_or(i64::MAX).min(open));
            self.indexes.low_water.learn((list, self.query.part), first, since);
        }
        let until = self.query.until.millis();
        let Some(minute) = in_time.into_iter().chain(late).min() else { return Ok(None) };
        let start = minute.saturating_mul(MINUTE);
        if start > until {
            return Ok(None);
        }
        let end = (start + MINUTE).min(until + 1);
        let first = self.begin.clone().max((start, String::new()));
        let is_whole = first.0 == start && first.1.is_empty() && end == start + MINUTE;
        let mut slices = Vec::new();
        for minutes in [&mut self.in_time, &mut self.late] {
            while minutes.head(cluster).await? == Some(minute) {
                let Some((_, slot)) = minutes.ready.pop_front() else { break };
                slices.push(Slice {
                    listed: (minutes.list, slot),
                    key: slot.key(self.query.part),
                    behind: first.clone(),
                    ready: VecDeque::new(),
                    is_over: false,
                    is_empty: true,
                });
            }
        }
        Ok(Some(Minute { minute, end, is_whole, since, slices }))
    }

    /// Goes on to the next minute. Slots of this one that are empty and will stay so are taken off
    /// the list.
    async fn leave_minute(&mut self) -> Result<()> {
        let Some(Minute { minute, is_whole, since, slices, .. }) = self.minute.take() else {
            return Ok(());
        };
        let (cluster, closed) = (&self.indexes.cluster, self.indexes.first_open(since));
        let mut drops: Several<'_, ()> = Vec::new();
        for Slice { listed: (list, slot), is_empty, .. } in slices {
            // They count as closed if they were old before they were read.
            if is_whole && is_empty && slot.minute < closed {
                let row = (list, i64::from(self.query.part), minute, slot.name());
                drops.push(Box::pin(cluster.write(&cluster.statements.drop_listing, row)));
            }
        }
        stream::iter(drops).buffer_unordered(AT_ONCE).try_collect().await
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
