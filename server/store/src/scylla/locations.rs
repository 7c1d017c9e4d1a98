//! Where jobs are found: reservations of ids, and which of them have come true.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::JobId;

use super::{
    cluster::{IDS, READS_AT_ONCE, Several},
    keys,
    pinned::PinnedTree,
    trees::{IdReservation, Location, TreeCache},
};
use crate::Result;

type IdReservationRow = (i64, i64, i64, i64);

impl TreeCache {
    /// All reservations on these ids.
    pub async fn reservations(&self, ids: &[JobId]) -> Result<Vec<IdReservation>> {
        let mut buckets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for id in ids {
            buckets.entry(keys::bucket(*id)).or_default().push(keys::number(*id));
        }
        let mut reads: Several<'_, Vec<IdReservationRow>> = Vec::new();
        for (bucket, ids) in &buckets {
            for ids in ids.chunks(IDS) {
                let statement = &self.cluster.statements.origins;
                reads.push(Box::pin(self.cluster.rows(statement, (*bucket, ids.to_vec()))));
            }
        }
        let mut reservations = Vec::new();
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(rows) = reads.try_next().await? {
            reservations.extend(rows.into_iter().filter_map(|(id, root, stage, parent)| {
                Some(IdReservation { id: keys::id(id)?, root: keys::id(root)?, stage, parent })
            }));
        }
        Ok(reservations)
    }

    /// Where the job of a reservation is, if it is visible there.
    pub async fn visible(
        self: &Arc<Self>,
        reservation: &IdReservation,
    ) -> Result<Option<Location>> {
        let found = self.visible_in(reservation.root, vec![*reservation]).await?;
        Ok(found.into_iter().next().map(|(_, place)| place))
    }

    /// Where the visible ones of these jobs are.
    pub async fn find(self: &Arc<Self>, ids: &[JobId]) -> Result<HashMap<JobId, Location>> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut left = Vec::new();
        for &id in ids {
            match self.place(id) {
                Some(place) => drop(found.insert(id, place)),
                None => left.push(id),
            }
        }
        if left.is_empty() {
            return Ok(found);
        }
        let mut trees: BTreeMap<JobId, Vec<IdReservation>> = BTreeMap::new();
        for reservation in self.reservations(&left).await? {
            trees.entry(reservation.root).or_default().push(reservation);
        }
        let mut reads: Several<'_, Vec<(JobId, Location)>> = Vec::new();
        for (root, reservations) in trees {
            reads.push(Box::pin(self.visible_in(root, reservations)));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(places) = reads.try_next().await? {
            found.extend(places);
        }
        Ok(found)
    }

    async fn visible_in(
        self: &Arc<Self>,
        root: JobId,
        reservations: Vec<IdReservation>,
    ) -> Result<Vec<(JobId, Location)>> {
        match PinnedTree::now(self, root).await? {
            Some(pinned) => pinned.places(&reservations).await,
            None => Ok(Vec::new()),
        }
    }
}
