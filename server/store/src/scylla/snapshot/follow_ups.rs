//! Follow-ups of the jobs of a tree.

use std::{collections::BTreeMap, ops::Range};

use jobtracker_model::JobId;

use super::{
    Snapshot,
    details::{DetailRow, NamedRow},
    history::{History, WIDTH},
    pinned::PinnedTree,
};
use crate::{
    FollowUp, FollowUpKey, Result, coding,
    scylla::{keys, trees::Location},
    view::Visit,
};

impl PinnedTree {
    /// A follow-up of a job.
    pub async fn follow_up(
        &self,
        id: JobId,
        place: Location,
        key: FollowUpKey,
    ) -> Result<Option<FollowUp>> {
        if let Some(row) = self.tail.follow_up(id, key) {
            return Ok(Some(row.clone()));
        }
        if self.is_in_tail() {
            return Ok(None);
        }
        let row = match key {
            FollowUpKey::Delivery(number) => self.delivery(id, place, number).await?,
            key => {
                let (kind, name) = keys::follow_up(key);
                self.detail(id, place, kind, &name).await?
            }
        };
        let Some((version, body)) = row else { return Ok(None) };
        if !self.is_past(version) {
            return Err(self.stale());
        }
        body.map(|body| coding::decode("follow-up", &body)).transpose()
    }

    async fn delivery(&self, id: JobId, place: Location, number: u32) -> Result<Option<DetailRow>> {
        let (kind, part) = (keys::history::DELIVERY, keys::part(number));
        let (bucket, cluster) = (keys::bucket(id), self.cluster());
        let key = (bucket, kind, part, keys::number(id), place.stage, number as i32);
        cluster.row(&cluster.statements.entry, key).await
    }

    /// Follow-ups of one kind of a job that has a small bound, from one on: some of them, and all
    /// up to the last of these; an empty answer means that there are no more.
    async fn follow_ups(
        &self,
        id: JobId,
        place: Location,
        from: FollowUpKey,
    ) -> Result<BTreeMap<FollowUpKey, FollowUp>> {
        let (kind, number) = from.parts();
        let mut found = BTreeMap::new();
        let mut end = None;
        if !self.is_in_tail() {
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
        if !self.is_in_tail() {
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
}

impl Snapshot {
    pub(super) fn walk_follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        let Some(place) = self.place(id)? else { return Ok(()) };
        let mut next = Some(from);
        while let Some(from) = next {
            let (kind, number) = from.parts();
            if matches!(from, FollowUpKey::Delivery(_)) {
                return self.walk_deliveries(id, place, number, visit);
            }
            let found = self.wait(self.pinned.follow_ups(id, place, from))?;
            let last = found.keys().next_back().map(|key| key.parts().1);
            let behind = last.and_then(|last| last.checked_add(1));
            let same = behind.and_then(|number| FollowUpKey::of(kind, number));
            next = same.or_else(|| FollowUpKey::of(kind + 1, 0));
            if found.into_iter().try_for_each(&mut *visit).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn walk_deliveries(
        &self,
        id: JobId,
        place: Location,
        from: u32,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        // The watch tells where they end.
        let watch = self.wait(self.pinned.follow_up(id, place, FollowUpKey::Watch))?;
        let Some(FollowUp::Watch(watch)) = watch else { return Ok(()) };
        let (mut next, mut width) = (from, 1);
        while next < watch.deliveries {
            let numbers = next..keys::part_begin(keys::part(next) + width).min(watch.deliveries);
            (next, width) = (numbers.end, (width * 2).min(WIDTH as i32));
            let found = self.wait(self.pinned.deliveries(id, place, numbers))?;
            if found.into_iter().try_for_each(&mut *visit).is_break() {
                break;
            }
        }
        Ok(())
    }
}
