//! Follow-ups by time: what is due, and what has failed.
//!
//! A place in a list is a row of its own, in the slot of its minute; it is written plainly *before*
//! the commit that puts the follow-up there, so that nothing committed can be missing. Whoever
//! reads the list asks the tree: a row is in the list when the tree says so. Where the tree says
//! otherwise the row is what a commit has left that did not come true, or that was followed by
//! others; it goes as soon as that commit cannot come true any more: when the tree has gone on, or
//! else, some time later, when a fence has seen to it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    cluster::Cluster,
    connect::now_millis,
    fence::fence,
    keys::listing,
    load::Reads,
    places::Several,
    trees::Trees,
};
use crate::{
    Agenda, AgendaKey, AgendaQuery, Error, FollowUp, FollowUpKey, Listed, Result, Row, Version,
    coding,
    view::page::{Page, follow_up_bytes},
};

/// Parts of the lists. A tree is in one.
pub const PARTS: u32 = 16;
/// Slots that are written, and places that are looked at, at once.
const AT_ONCE: usize = 16;
/// Rows in one answer of a list.
const LISTED: usize = 500;
/// What a place takes, about.
const PLACE_BYTES: usize = 130;
/// A commit is not sent when its places took longer to write: its minute may have been removed.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
/// Whoever left a place without a follow-up for so long is stopped.
const LEFT_MILLIS: i64 = 60_000;
/// So long after its end a minute without places is removed.
const EMPTY_MILLIS: i64 = 180_000;
const MINUTE: i64 = 60_000;

/// The lists by time.
pub struct Agendas {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<Trees>,
    pub reads: Arc<Reads>,
}

/// The commit that wrote a place.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Writer {
    root: JobId,
    /// The version that it follows.
    base: Version,
    /// When it wrote, in milliseconds.
    time: i64,
}

type ListRow = (i64, String, Option<Vec<u8>>);
type PutRow = (i8, i64, i64, String, Option<Vec<u8>>);

/// What is to be thought of a place.
enum Seen {
    Right(FollowUp),
    /// Its commit is perhaps under way.
    Early,
    /// It never will be right.
    Wrong,
}

impl Agendas {
    /// Lists the follow-ups of commits, each with the version that it follows, before they are
    /// sent.
    pub async fn note(&self, commits: &[(JobId, Version, &[Row])]) -> Result<()> {
        let begun = Instant::now();
        let now = now_millis();
        let mut slots: BTreeMap<(i8, i64), Vec<(usize, PutRow)>> = BTreeMap::new();
        for (root, base, rows) in commits {
            let mut body = Vec::new();
            coding::encode(&Writer { root: *root, base: *base, time: now }, &mut body)?;
            let writer = Uuid::new_v4();
            for (agenda, key) in rows.iter().filter_map(place) {
                // Nothing is added to minutes that may be removed.
                let minute = key.time.millis().max(now - MINUTE).div_euclid(MINUTE);
                let (part, list) = (part(*root), agenda as usize);
                let (list, minutes) = (listing::AGENDA[list], listing::AGENDA_MINUTES[list]);
                let slot = slot(part, minute);
                let name = format!("{}/{writer}", name(key.id, key.key));
                let row = (list, slot, key.time.millis(), name, Some(body.clone()));
                slots.entry((list, slot)).or_default().push((PLACE_BYTES, row));
                let row = (minutes, i64::from(part), minute, String::new(), None);
                slots.entry((minutes, i64::from(part))).or_default().push((PLACE_BYTES, row));
            }
        }
        if slots.is_empty() {
            return Ok(());
        }
        let put = &self.cluster.statements.put_listing;
        let mut writes: Several<'_, ()> = Vec::new();
        for rows in slots.into_values() {
            writes.push(Box::pin(self.cluster.write_rows(put, rows)));
        }
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        match begun.elapsed() > WRITTEN_WITHIN {
            true => Err(Error::Unavailable("the cluster is slow; try again".into())),
            false => Ok(()),
        }
    }

    /// One page of a list.
    pub async fn list(
        &self,
        query: AgendaQuery,
    ) -> Result<Listed<(AgendaKey, FollowUp), AgendaKey>> {
        let mut page = Page::new(query.limit);
        let after = query.after.map(|after| (after.time.millis(), after_name(after)));
        let begin = after.unwrap_or((query.from.millis(), String::new()));
        let last = query.until.millis().div_euclid(MINUTE);
        let mut behind = (begin.0.div_euclid(MINUTE) - 1, String::new());
        loop {
            let minutes = self.minutes(&query, &behind).await?;
            let Some(newest) = minutes.last().copied() else { return Ok(page.finish()) };
            for minute in minutes {
                // A place may be in a later minute than its own, but for that see `note`.
                if minute > last + 1 {
                    return Ok(page.finish());
                }
                if self.minute(&query, minute, &begin, &mut page).await? {
                    return Ok(page.finish());
                }
            }
            behind = (newest, "~".into());
        }
    }

    /// Some minutes that have places, oldest first.
    async fn minutes(&self, query: &AgendaQuery, behind: &(i64, String)) -> Result<Vec<i64>> {
        let list = listing::AGENDA_MINUTES[query.agenda as usize];
        let key = (list, i64::from(query.part), behind.0, behind.1.as_str());
        let rows: Vec<ListRow> = self.cluster.rows(&self.cluster.statements.listed, key).await?;
        Ok(rows.into_iter().map(|(minute, ..)| minute).collect())
    }

    /// Puts the follow-ups of a minute on a page; true when the page is full.
    async fn minute(
        &self,
        query: &AgendaQuery,
        minute: i64,
        begin: &(i64, String),
        page: &mut Page<(AgendaKey, FollowUp), AgendaKey>,
    ) -> Result<bool> {
        let list = listing::AGENDA[query.agenda as usize];
        let slot = slot(query.part, minute);
        let mut behind = begin.clone();
        let mut is_empty = begin.0.div_euclid(MINUTE) < minute;
        let mut before = None;
        loop {
            let key = (list, slot, behind.0, behind.1.as_str());
            let statement = &self.cluster.statements.listed;
            let rows: Vec<ListRow> = self.cluster.rows(statement, key).await?;
            let is_last = rows.len() < LISTED;
            if let Some((place, key, _)) = rows.last() {
                (behind, is_empty) = ((*place, key.clone()), false);
            }
            let looks = rows.into_iter().filter(|(place, ..)| *place <= query.until.millis());
            let looks = looks.map(|row| self.look(query.agenda, list, slot, row));
            let mut looks = stream::iter(looks).buffered(AT_ONCE);
            while let Some(found) = looks.try_next().await? {
                // One follow-up may have been put at one place by several commits.
                let Some((key, row)) = found.filter(|(key, _)| before != Some(*key)) else {
                    continue;
                };
                before = Some(key);
                if page.look(key).is_break() {
                    return Ok(true);
                }
                let bytes = follow_up_bytes(&row);
                page.take((key, row), bytes);
            }
            if is_last {
                break;
            }
        }
        if is_empty && (minute + 1) * MINUTE + EMPTY_MILLIS < now_millis() {
            self.remove_minute(query, minute).await?;
        }
        Ok(false)
    }

    /// The follow-up of a place, if it is there; a place that is wrong is removed.
    async fn look(
        &self,
        agenda: Agenda,
        list: i8,
        slot: i64,
        (time, name, body): ListRow,
    ) -> Result<Option<(AgendaKey, FollowUp)>> {
        let key = Timestamp::from_millis(time).zip(follow_up(&name));
        let (Some((time, (id, key))), Some(body)) = (key, body) else {
            return Err(Error::Corrupt(format!("a list by time has the unreadable place {name}")));
        };
        let key = AgendaKey { time, id, key };
        let writer: Writer = coding::decode("place in a list by time", &body)?;
        let mut seen = self.see(agenda, key, writer).await?;
        if matches!(seen, Seen::Early) && writer.time + LEFT_MILLIS < now_millis() {
            fence(&self.cluster, &self.trees, writer.root, None).await?;
            seen = match self.see(agenda, key, writer).await? {
                Seen::Early => Seen::Wrong,
                seen => seen,
            };
        }
        match seen {
            Seen::Right(row) => Ok(Some((key, row))),
            Seen::Early => Ok(None),
            Seen::Wrong => {
                let row = (list, slot, time.millis(), name);
                self.cluster.write(&self.cluster.statements.drop_listing, row).await?;
                Ok(None)
            }
        }
    }

    async fn see(&self, agenda: Agenda, key: AgendaKey, writer: Writer) -> Result<Seen> {
        let AgendaKey { time, id, key } = key;
        let version = match self.reads.follow_up(id, key).await? {
            Some((_, Some(row))) if row.place() == Some((agenda, time)) => {
                return Ok(Seen::Right(row));
            }
            Some((version, _)) => version,
            None => {
                let tail = self.trees.look(&self.trees.tree(writer.root)).await?;
                tail.map_or(0, |tail| tail.version)
            }
        };
        Ok(if version > writer.base { Seen::Wrong } else { Seen::Early })
    }

    async fn remove_minute(&self, query: &AgendaQuery, minute: i64) -> Result<()> {
        let (cluster, list) = (&self.cluster, query.agenda as usize);
        let slot = (listing::AGENDA[list], slot(query.part, minute));
        cluster.write(&cluster.statements.drop_slot, slot).await?;
        let row = (listing::AGENDA_MINUTES[list], i64::from(query.part), minute, "");
        cluster.write(&cluster.statements.drop_listing, row).await
    }
}

/// The place in a list by time that a row makes.
fn place(row: &Row) -> Option<(Agenda, AgendaKey)> {
    let Row::FollowUp { id, key, row, .. } = row else { return None };
    let (agenda, time) = row.place()?;
    Some((agenda, AgendaKey { time, id: *id, key: *key }))
}

fn part(root: JobId) -> u32 {
    (root.get() % u64::from(PARTS)) as u32
}

fn slot(part: u32, minute: i64) -> i64 {
    minute * i64::from(PARTS) + i64::from(part)
}

/// A follow-up, in the order of lists by time.
fn name(id: JobId, key: FollowUpKey) -> String {
    let (kind, number) = key.parts();
    format!("{:019}/{kind}/{number:010}", id.get())
}

/// A name behind all places of a follow-up.
fn after_name(after: AgendaKey) -> String {
    format!("{}/~", name(after.id, after.key))
}

fn follow_up(name: &str) -> Option<(JobId, FollowUpKey)> {
    let mut parts = name.split('/');
    let id = parts.next()?.parse().ok().and_then(JobId::new)?;
    let kind = parts.next()?.parse().ok()?;
    Some((id, FollowUpKey::of(kind, parts.next()?.parse().ok()?)?))
}

#[cfg(test)]
mod tests {
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
            let after = after_name(AgendaKey { time: Timestamp::MIN, id, key });
            assert!(*name < place && place < after);
        }
        assert_eq!(follow_up("1/7"), None);
        assert_eq!(follow_up(""), None);
    }
}
