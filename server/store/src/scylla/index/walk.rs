//! The entries of one list and part in the order of their times.

use std::collections::VecDeque;

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jobtracker_model::Timestamp;

use super::{AT_ONCE, Indexes, Place, after_name, follow_up, slot::Slot};
use crate::{
    Error, IndexKey, IndexQuery, Result, coding,
    scylla::{
        clocks::{Clocks, MINUTE},
        cluster::{Cluster, Several},
        connect::now_millis,
        keys::listing,
    },
};

/// Rows in one answer of a list.
const LISTED: usize = 500;

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
pub struct Walk<'a> {
    indexes: &'a Indexes,
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
    pub fn new(indexes: &'a Indexes, query: &'a IndexQuery) -> Self {
        let after = query.after.map(|after| (after.time.millis(), after_name(after)));
        let from = (query.from.millis(), String::new());
        let begin = after.map_or(from.clone(), |after| after.max(from));
        let (list, first) = (query.index as usize, begin.0.div_euclid(MINUTE));
        let list_in_time = listing::INDEX_MINUTES[list];
        let now = Clocks::now();
        let known = indexes.low_water.get((list_in_time, query.part), now);
        let in_time = Minutes::new(list_in_time, query.part, first.max(known));
        let late = Minutes::new(listing::INDEX_LATE[list], query.part, first);
        let since = (first <= known).then_some(now);
        Self { indexes, query, begin, in_time, late, minute: None, since }
    }

    /// Some entries; empty only at the end.
    pub async fn next(&mut self, count: usize) -> Result<Vec<Place>> {
        let (cluster, list) = (&self.indexes.cluster, listing::INDEX[self.query.index as usize]);
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
