//! Roots by time: a list of minutes by day, and of roots by minute. A root is listed before the
//! commit that creates it, so whoever reads the list makes sure that it is there.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp};
use quick_cache::sync::Cache;

use super::{
    cluster::Cluster,
    keys::{self, listing},
    load::Reads,
    places::Several,
};
use crate::{
    JobRow, Listed, Result, RootKey, RootsQuery,
    view::page::{Page, job_bytes},
};

/// Minutes and days that are known to be listed.
const NOTED: usize = 10_000;
/// Partitions that are written, and roots that are read, at once.
const AT_ONCE: usize = 32;
/// Rows in one answer of a list.
const LISTED: usize = 500;
/// Minutes that are read at once at most; a list begins with one and doubles.
const WIDTH: usize = 16;
/// Size of an entry, about.
const ENTRY_BYTES: usize = 60;

/// Lists of roots.
pub struct Roots {
    cluster: Arc<Cluster>,
    reads: Arc<Reads>,
    /// Lists and slots that have been noted in the list above them.
    noted: Cache<(i8, i64), ()>,
}

/// An entry of a list: list, slot, place and key.
type Entry = (i8, i64, i64, String);

impl Roots {
    pub fn new(cluster: Arc<Cluster>, reads: Arc<Reads>) -> Self {
        Self { cluster, reads, noted: Cache::new(NOTED) }
    }

    /// Lists new roots before they are created.
    pub async fn note_roots(&self, roots: &[(JobId, Timestamp)]) -> Result<()> {
        let mut slots: BTreeMap<(i8, i64), BTreeSet<(i64, String)>> = BTreeMap::new();
        let mut new = Vec::new();
        for (id, time) in roots {
            let minute = keys::minute(*time);
            let day = keys::day(minute);
            let roots = slots.entry((listing::ROOTS, minute)).or_default();
            roots.insert((time.millis(), key(*id)));
            if self.noted.get(&(listing::ROOTS, minute)).is_none() {
                let minutes = slots.entry((listing::ROOT_MINUTES, day)).or_default();
                minutes.insert((minute, String::new()));
                new.push((listing::ROOTS, minute));
            }
            if self.noted.get(&(listing::ROOT_MINUTES, day)).is_none() {
                let days = slots.entry((listing::ROOT_DAYS, 0)).or_default();
                days.insert((day, String::new()));
                new.push((listing::ROOT_MINUTES, day));
            }
        }
        let mut writes: Several<'_, ()> = Vec::new();
        for ((list, slot), entries) in slots {
            let entry = |(place, key)| (ENTRY_BYTES, (list, slot, place, key));
            let rows: Vec<(usize, Entry)> = entries.into_iter().map(entry).collect();
            let statement = &self.cluster.statements.put_entry;
            writes.push(Box::pin(self.cluster.write_rows(statement, rows)));
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
        // One more than the page may have tells whether the list goes on.
        let mut width = query.limit.items.saturating_add(1).clamp(1, AT_ONCE);
        loop {
            let keys = walk.next(&self.cluster, width).await?;
            if keys.is_empty() {
                return Ok(page.finish());
            }
            width = (width * 2).min(LISTED);
            let mut reads: Several<'_, Option<(RootKey, JobRow)>> = Vec::new();
            for key in keys {
                reads.push(Box::pin(self.root(key)));
            }
            let mut roots = stream::iter(reads).buffered(AT_ONCE);
            while let Some(root) = roots.try_next().await? {
                let Some((key, job)) = root else { continue };
                if page.look(key).is_break() {
                    return Ok(page.finish());
                }
                let bytes = job_bytes(&job);
                page.take(job, bytes);
            }
        }
    }

    /// The root of an entry, if it has been created, and by the commit that listed it so.
    async fn root(&self, key: RootKey) -> Result<Option<(RootKey, JobRow)>> {
        let job = self.reads.get_job(key.id).await?;
        let job = job.filter(|job| job.parent.is_none() && job.status.create_time == key.time);
        Ok(job.map(|job| (key, job)))
    }
}

/// The key of a root, in the order of ids.
fn key(id: JobId) -> String {
    format!("{:019}", id.get())
}

/// One slot of a list from its end to its beginning.
struct Back {
    list: i8,
    slot: i64,
    /// The first place that is asked for.
    floor: i64,
    /// The last entry that has been read.
    behind: (i64, String),
    ready: VecDeque<(i64, String)>,
    is_over: bool,
}

impl Back {
    /// Entries from a place on up to one, itself left out.
    fn new((list, slot): (i8, i64), floor: i64, behind: (i64, String)) -> Self {
        Self { list, slot, floor, behind, ready: VecDeque::new(), is_over: false }
    }

    async fn fill(&mut self, cluster: &Cluster) -> Result<()> {
        if self.is_over || !self.ready.is_empty() {
            return Ok(());
        }
        let key = (self.list, self.slot, self.behind.0, self.behind.1.as_str());
        let rows: Vec<(i64, String)> = cluster.rows(&cluster.statements.listed_back, key).await?;
        self.is_over = rows.len() < LISTED;
        if let Some(last) = rows.last() {
            self.behind = last.clone();
        }
        for (place, key) in rows {
            if place < self.floor {
                self.is_over = true;
                break;
            }
            self.ready.push_back((place, key));
        }
        Ok(())
    }

    async fn next(&mut self, cluster: &Cluster) -> Result<Option<(i64, String)>> {
        self.fill(cluster).await?;
        Ok(self.ready.pop_front())
    }
}

/// The entries that a query asks for, newest first.
struct Walk {
    /// Entries of this moment and later ones.
    from: i64,
    /// Entries before this one.
    end: (i64, String),
    days: Back,
    minutes: Option<Back>,
    /// Minutes of which some entries have been read, newest first.
    roots: VecDeque<Back>,
    width: usize,
}

impl Walk {
    fn new(query: &RootsQuery) -> Self {
        let RootsQuery { from, to, after, .. } = query;
        let end = (to.millis(), String::new());
        let end = after.map_or(end.clone(), |after| end.min((after.time.millis(), key(after.id))));
        let first = keys::day(keys::minute(*from));
        let last = keys::day(minute(end.0));
        let days = Back::new((listing::ROOT_DAYS, 0), first, (last + 1, String::new()));
        let (minutes, roots) = (None, VecDeque::new());
        Self { from: from.millis(), end, days, minutes, roots, width: 1 }
    }

    /// About so many entries, none only at the end.
    async fn next(&mut self, cluster: &Cluster, width: usize) -> Result<Vec<RootKey>> {
        let mut found = Vec::new();
        if (self.from, "") >= (self.end.0, self.end.1.as_str()) {
            return Ok(found);
        }
        while found.len() < width {
            let Some(first) = self.roots.front_mut() else {
                if !found.is_empty() || !self.more(cluster).await? {
                    break;
                }
                continue;
            };
            match first.next(cluster).await? {
                Some((place, key)) => found.extend(root_key(place, &key)),
                None => drop(self.roots.pop_front()),
            }
        }
        Ok(found)
    }

    /// Reads the beginnings of the next minutes; false when there are none.
    async fn more(&mut self, cluster: &Cluster) -> Result<bool> {
        let mut minutes = Vec::new();
        while minutes.len() < self.width
            && let Some(minute) = self.next_minute(cluster).await?
        {
            minutes.push(Back::new((listing::ROOTS, minute), self.from, self.end.clone()));
        }
        self.width = (self.width * 2).min(WIDTH);
        let mut reads: Several<'_, Back> = Vec::new();
        for mut minute in minutes {
            reads.push(Box::pin(async move {
                minute.fill(cluster).await?;
                Ok(minute)
            }));
        }
        self.roots = stream::iter(reads).buffered(WIDTH).try_collect::<Vec<_>>().await?.into();
        Ok(!self.roots.is_empty())
    }

    async fn next_minute(&mut self, cluster: &Cluster) -> Result<Option<i64>> {
        loop {
            if let Some(minutes) = &mut self.minutes
                && let Some((minute, _)) = minutes.next(cluster).await?
            {
                return Ok(Some(minute));
            }
            let Some((day, _)) = self.days.next(cluster).await? else { return Ok(None) };
            let (first, last) = (minute(self.from), minute(self.end.0));
            let behind = (last + 1, String::new());
            self.minutes = Some(Back::new((listing::ROOT_MINUTES, day), first, behind));
        }
    }
}

/// The minute of a time in a list.
fn minute(millis: i64) -> i64 {
    Timestamp::from_millis(millis).map_or(0, keys::minute)
}

fn root_key(place: i64, key: &str) -> Option<RootKey> {
    let time = Timestamp::from_millis(place)?;
    let id = key.parse().ok().and_then(JobId::new)?;
    Some(RootKey { time, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_the_order_of_roots() {
        let id = |id: u64| JobId::new(id).unwrap();
        let ids = [1, 9, 10, 99, 1_000_000, i64::MAX as u64].map(id);
        assert!(ids.map(key).is_sorted());
        for id in ids {
            let time = Timestamp::from_millis(7).unwrap();
            assert_eq!(root_key(7, &key(id)), Some(RootKey { time, id }));
        }
        assert_eq!(root_key(7, ""), None);
        assert_eq!(root_key(-1, &key(id(1))), None);
    }
}
