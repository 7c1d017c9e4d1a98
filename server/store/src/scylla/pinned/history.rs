//! Histories and follow-ups of a job.

use std::{collections::BTreeMap, ops::Range};

use futures_util::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use jobtracker_model::{JobId, rollup::Status};

use super::{
    Known, PinnedTree,
    details::{DetailRow, NamedRow},
};
use crate::{
    FollowUp, FollowUpKey, Result, coding,
    scylla::{cluster::Several, keys, trees::Location},
    view::View,
};

/// Parts that are read at once at most; a walk begins with one and doubles.
const WIDTH: usize = 16;

/// One kind of history of one job.
#[derive(Clone, Copy)]
struct History {
    id: JobId,
    stage: i64,
    kind: i8,
}

/// Where a walk over follow-ups is.
struct FollowUpsWalk {
    from: FollowUpKey,
    /// Parts of the deliveries that are read at once next.
    width: i32,
    /// How many deliveries there are, when that is known.
    deliveries: Option<u32>,
}

/// Number, version and body.
type EntryRow = (i32, Option<i64>, Option<Vec<u8>>);

impl PinnedTree {
    /// Entries of some parts, in order.
    async fn entries(&self, history: History, from: u32, parts: Vec<i32>) -> Result<Vec<EntryRow>> {
        let (cluster, History { id, stage, kind }) = (self.cluster(), history);
        let (bucket, id) = (keys::bucket(id), keys::number(id));
        let mut reads: Several<'_, Vec<EntryRow>> = Vec::new();
        for part in parts {
            let key = (bucket, kind, part, id, stage, from as i32);
            reads.push(Box::pin(cluster.rows(&cluster.statements.history, key)));
        }
        let rows: Vec<Vec<EntryRow>> = stream::iter(reads).buffered(WIDTH).try_collect().await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// One kind of history of a job from a number on: what the tables have, then what the tail has.
    /// `count` tells how many there are.
    pub(super) fn history<T>(
        &self,
        (id, kind): (JobId, i8),
        from: u32,
        later: BTreeMap<u32, T>,
        count: fn(&Status) -> u32,
        decode: fn(u32, &[u8]) -> Result<T>,
    ) -> impl Stream<Item = Result<(u32, T)>> {
        let all = async move {
            let job = self.one(id, false).await?;
            let (end, stage) =
                job.map_or((0, keys::NO_STAGE), |Known { place, status, .. }| {
                    let end = later.first_key_value().map_or(count(&status), |(number, _)| *number);
                    (end, place.stage)
                });
            let earlier = self.walk_entries(History { id, stage, kind }, from..end);
            let earlier = earlier.and_then(move |(number, body)| async move {
                Ok((number, decode(number, &body)?))
            });
            Ok(earlier.chain(stream::iter(later.into_iter().map(Ok))))
        };
        all.try_flatten_stream()
    }

    /// Entries that the tables have.
    fn walk_entries(
        &self,
        history: History,
        numbers: Range<u32>,
    ) -> impl Stream<Item = Result<(u32, Vec<u8>)>> {
        let is_over = numbers.is_empty() || self.tail.is_whole_tree();
        let first = keys::part(numbers.start);
        let parts = first..if is_over { first } else { keys::part(numbers.end - 1) + 1 };
        let (from, this) = (numbers.start, numbers);
        let chunks = stream::try_unfold((parts, 1), move |(mut parts, width)| async move {
            let chunk: Vec<i32> = parts.by_ref().take(width).collect();
            if chunk.is_empty() {
                return Ok(None);
            }
            let rows = self.entries(history, from, chunk).await?;
            Ok(Some((stream::iter(rows.into_iter().map(Ok)), (parts, (width * 2).min(WIDTH)))))
        });
        chunks.try_flatten().try_filter_map(move |(number, version, body)| {
            // A row that was written after the snapshot is not in it yet.
            let number = u32::try_from(number).ok().filter(|number| this.contains(number));
            let entry = number.zip(body).filter(|_| self.is_past(version));
            async move { Ok(entry) }
        })
    }

    pub(super) async fn delivery(
        &self,
        id: JobId,
        place: Location,
        number: u32,
    ) -> Result<Option<DetailRow>> {
        let (kind, part) = (keys::history::DELIVERY, keys::part(number));
        let (bucket, cluster) = (keys::bucket(id), self.cluster());
        let key = (bucket, kind, part, keys::number(id), place.stage, number as i32);
        cluster.row(&cluster.statements.entry, key).await
    }

    /// Follow-ups of one kind of a job that has a small bound, from one on: some of them, and all
    /// up to the last of these; an empty answer means that there are no more.
    async fn some_follow_ups(
        &self,
        id: JobId,
        place: Location,
        from: FollowUpKey,
    ) -> Result<BTreeMap<FollowUpKey, FollowUp>> {
        let (kind, number) = from.parts();
        let mut found = BTreeMap::new();
        let mut end = None;
        if !self.tail.is_whole_tree() {
            // Names are numbers of ten digits: the follow-ups from this one on are those behind the
            // one before.
            let before = number.checked_sub(1).and_then(|number| FollowUpKey::of(kind, number));
            let behind = before.map(|before| keys::follow_up(before).1).unwrap_or_default();
            let cluster = self.cluster();
            let key = (keys::number(id), place.stage, keys::follow_up(from).0, behind);
            let rows: Vec<NamedRow> = cluster.rows(&cluster.statements.detail_bodies, key).await?;
            for (name, version, body) in rows {
                let number = name.parse().ok();
                let key = number.and_then(|number| FollowUpKey::of(kind, number));
                let (Some(key), Some(body)) = (key, body) else { continue };
                end = Some(key);
                self.add(&mut found, (id, key), version, &body)?;
            }
        }
        let is_before_end = |key| end.is_none_or(|end| key <= end);
        self.add_later(&mut found, id, |key| {
            key.parts().0 == kind && key >= from && is_before_end(key)
        });
        Ok(found)
    }

    /// Deliveries of a job with these numbers, which are those of some parts.
    async fn deliveries(
        &self,
        id: JobId,
        place: Location,
        numbers: Range<u32>,
    ) -> Result<BTreeMap<FollowUpKey, FollowUp>> {
        let mut found = BTreeMap::new();
        if !self.tail.is_whole_tree() {
            let parts = keys::part(numbers.start)..=keys::part(numbers.end - 1);
            let history = History { id, stage: place.stage, kind: keys::history::DELIVERY };
            let rows = self.entries(history, numbers.start, parts.collect()).await?;
            for (number, version, body) in rows {
                let (Ok(number), Some(body)) = (u32::try_from(number), body) else { continue };
                if numbers.contains(&number) {
                    self.add(&mut found, (id, FollowUpKey::Delivery(number)), version, &body)?;
                }
            }
        }
        let is_asked = |key| matches!(key, FollowUpKey::Delivery(of) if numbers.contains(&of));
        self.add_later(&mut found, id, is_asked);
        Ok(found)
    }

    /// Adds a row of the tables.
    fn add(
        &self,
        found: &mut BTreeMap<FollowUpKey, FollowUp>,
        (id, key): (JobId, FollowUpKey),
        version: Option<i64>,
        body: &[u8],
    ) -> Result<()> {
        if self.is_past(version) {
            found.insert(key, coding::decode("follow-up", body)?);
        } else if self.tail.follow_up(id, key).is_none() {
            return Err(self.stale());
        }
        Ok(())
    }

    /// Adds what the tail has.
    fn add_later(
        &self,
        found: &mut BTreeMap<FollowUpKey, FollowUp>,
        id: JobId,
        is_asked: impl Fn(FollowUpKey) -> bool,
    ) {
        for redo in &self.tail.redos {
            let later = redo.follow_ups(id).filter(|(key, _)| is_asked(*key));
            found.extend(later.map(|(key, row)| (key, row.clone())));
        }
    }

    /// Follow-ups of a job from one on, through all kinds that come later.
    pub(super) fn walk_follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
    ) -> impl Stream<Item = Result<(FollowUpKey, FollowUp)>> {
        let state = Some(FollowUpsWalk { from, width: 1, deliveries: None });
        let chunks = stream::try_unfold(state, move |walk| async move {
            let Some(FollowUpsWalk { from, width, deliveries }) = walk else { return Ok(None) };
            let Some(place) = self.find(&[id]).await?.remove(&id) else { return Ok(None) };
            let (kind, number) = from.parts();
            let (found, next) = if let FollowUpKey::Delivery(_) = from {
                let end = match deliveries {
                    Some(end) => end,
                    None => self.count_deliveries(id).await?,
                };
                if number >= end {
                    let next = FollowUpsWalk { from: FollowUpKey::Task, width, deliveries };
                    return Ok(Some((stream::iter(Vec::new()), Some(next))));
                }
                let numbers = number..keys::part_begin(keys::part(number) + width).min(end);
                let from = FollowUpKey::Delivery(numbers.end);
                let width = (width * 2).min(WIDTH as i32);
                let next = FollowUpsWalk { from, width, deliveries: Some(end) };
                (self.deliveries(id, place, numbers).await?, Some(next))
            } else {
                let found = self.some_follow_ups(id, place, from).await?;
                let last = found.keys().next_back().map(|key| key.parts().1);
                let behind = last.and_then(|last| last.checked_add(1));
                let same = behind.and_then(|number| FollowUpKey::of(kind, number));
                let next = same.or_else(|| FollowUpKey::of(kind + 1, 0));
                (found, next.map(|from| FollowUpsWalk { from, width, deliveries }))
            };
            Ok(Some((stream::iter(found.into_iter().map(Ok).collect::<Vec<_>>()), next)))
        });
        chunks.try_flatten()
    }

    /// How many deliveries a job has, which its watch tells.
    async fn count_deliveries(&self, id: JobId) -> Result<u32> {
        let watch = self.follow_up(id, FollowUpKey::Watch).await?;
        Ok(watch.map_or(0, |row| match row {
            FollowUp::Watch(watch) => watch.deliveries,
            _ => 0,
        }))
    }
}
