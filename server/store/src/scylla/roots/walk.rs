//! The entries of the lists of roots, newest first.

use std::collections::VecDeque;

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jobtracker_model::{JobId, Timestamp};

use super::{key, slot::Slot};
use crate::{
    Error, Result, RootKey, RootsQuery,
    scylla::{
        cluster::{Cluster, Several},
        keys::{self, listing},
    },
};

/// Rows in one answer of a list at most, and at least.
const LISTED: (i32, i32) = (500, 32);
/// Slots that are read at once at most; a list begins with those of one minute and doubles.
const WIDTH: usize = 16;

/// `place`, key and body.
type ListRow = (i64, String, Option<Vec<u8>>);

/// An entry as it was found.
pub struct Entry {
    pub root: RootKey,
    /// Its row: list, slot, `place` and key.
    pub row: (i8, i64, i64, String),
    /// What is known of the commit that wrote it.
    pub body: Option<Vec<u8>>,
}

/// One slot of a list from its end to its beginning.
struct Back {
    list: i8,
    slot: i64,
    /// The lowest `place` that is asked for.
    floor: i64,
    /// The last entry that has been read.
    behind: (i64, String),
    /// How many rows are read next.
    count: i32,
    ready: VecDeque<ListRow>,
    is_over: bool,
}

impl Back {
    /// Entries from a `place` on up to one entry, itself left out.
    fn new((list, slot): (i8, i64), floor: i64, behind: (i64, String)) -> Self {
        let (ready, count) = (VecDeque::new(), LISTED.0);
        Self { list, slot, floor, behind, count, ready, is_over: false }
    }

    async fn fill(&mut self, cluster: &Cluster) -> Result<()> {
        if self.is_over || !self.ready.is_empty() {
            return Ok(());
        }
        let key = (self.list, self.slot, self.behind.0, self.behind.1.as_str(), self.count);
        let rows: Vec<ListRow> = cluster.rows(&cluster.statements.listed_back, key).await?;
        self.is_over = rows.len() < self.count as usize;
        self.count = (self.count * 2).min(LISTED.0);
        if let Some((place, key, _)) = rows.last() {
            self.behind = (*place, key.clone());
            self.is_over |= *place < self.floor;
        }
        self.ready.extend(rows.into_iter().take_while(|(place, ..)| *place >= self.floor));
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
struct Minute(Vec<Back>);

impl Minute {
    async fn fill(&mut self, cluster: &Cluster) -> Result<()> {
        future::try_join_all(self.0.iter_mut().map(|slot| slot.fill(cluster))).await?;
        Ok(())
    }

    async fn next(&mut self, cluster: &Cluster) -> Result<Option<Entry>> {
        self.fill(cluster).await?;
        let with_entry = self.0.iter_mut().filter(|slot| !slot.ready.is_empty());
        let newest = with_entry.max_by(|one, other| {
            let head =
                |slot: &Back| slot.ready.front().map(|(place, key, _)| (*place, key.clone()));
            head(one).cmp(&head(other))
        });
        let Some(slot) = newest else { return Ok(None) };
        let Some((place, key, body)) = slot.ready.pop_front() else { return Ok(None) };
        let unreadable = || Error::Corrupt(format!("a root is listed as {key}"));
        let root = root_key(place, &key).ok_or_else(unreadable)?;
        Ok(Some(Entry { root, row: (slot.list, slot.slot, place, key), body }))
    }
}

/// The entries that a query asks for, newest first.
pub struct Walk {
    /// Entries of this time and later ones.
    from: i64,
    /// Entries before this one.
    end: (i64, String),
    days: Back,
    minutes: Option<Back>,
    /// Minutes of which some entries have been read, newest first.
    begun: VecDeque<Minute>,
    width: usize,
}

impl Walk {
    pub fn new(query: &RootsQuery) -> Self {
        let RootsQuery { from, to, after, .. } = query;
        let end = (to.millis(), String::new());
        let end = after.map_or(end.clone(), |after| end.min((after.time.millis(), key(after.id))));
        let first = keys::day(keys::minute(*from));
        let last = keys::day(minute(end.0));
        let days = Back::new((listing::ROOT_DAYS, 0), first, (last + 1, String::new()));
        let (minutes, begun) = (None, VecDeque::new());
        Self { from: from.millis(), end, days, minutes, begun, width: 1 }
    }

    /// About this many entries; empty only at the end.
    pub async fn next(&mut self, cluster: &Cluster, count: usize) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        if (self.from, "") >= (self.end.0, self.end.1.as_str()) {
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
            let (first, last) = (minute(self.from), minute(self.end.0));
            let behind = (last + 1, String::new());
            self.minutes = Some(Back::new((listing::ROOT_MINUTES, day), first, behind));
        }
    }

    /// Reads from each of the lists about as much of a page as it is likely to have.
    fn minute(&self, lists: Vec<(i8, i64)>) -> Minute {
        let count = (LISTED.0 / lists.len() as i32).max(LISTED.1);
        let slot = |list| Back { count, ..Back::new(list, self.from, self.end.clone()) };
        Minute(lists.into_iter().map(slot).collect())
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
}
