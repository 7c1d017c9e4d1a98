//! Reservations: if two trees create a job of one id, one of them does.
//!
//! A reservation is a row of its own, written plainly and on a quorum before the list of all
//! reservations of that id is read from a quorum. Of two that reserve at once, the later to finish
//! writing sees the other, and both may. A tree that sees another reservation gives way when that
//! job is visible or may still become so; otherwise it makes sure that the job cannot: it fences
//! the other tree or revokes the other stage. Only then does it commit.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt};
use jobtracker_model::JobId;

use super::{
    cluster::Cluster,
    fence::fence,
    ids::Ids,
    keys::{self, DELETED, NO_STAGE},
    stages::{Fate, Stages},
    trees::{IdReservation, TreeCache},
};
use crate::{Error, Result, StageId};

/// Buckets that one call writes at once.
const AT_ONCE: usize = 32;
/// Bytes that a reservation takes, about.
const RESERVATION_BYTES: usize = 60;

pub struct Reservations {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<TreeCache>,
    pub stages: Arc<Stages>,
    pub ids: Arc<Ids>,
}

/// Ids that cannot be reserved.
#[derive(Debug, Default)]
pub struct Taken {
    /// Other trees have them.
    by_others: HashSet<JobId>,
    /// Their jobs were deleted, and removed.
    deleted: HashSet<JobId>,
}

impl Taken {
    /// Refuses a tree that creates jobs of such ids.
    pub fn refuse(&self, root: JobId, created: impl Iterator<Item = JobId>) -> Result<()> {
        if self.by_others.is_empty() && self.deleted.is_empty() {
            return Ok(());
        }
        let mut is_stale = false;
        for id in created {
            if self.deleted.contains(&id) {
                return Err(Error::IdDeleted(id));
            }
            is_stale |= self.by_others.contains(&id);
        }
        if is_stale { Err(Error::Stale { root }) } else { Ok(()) }
    }
}

impl Reservations {
    /// Reserves ids; answers those that cannot be. When there are none, the caller may go on
    /// to commit at the version that it knew before this call, and at no other. `new` are trees
    /// that are at version 0.
    pub async fn reservation(
        &self,
        reservations: &[IdReservation],
        new: &HashSet<JobId>,
    ) -> Result<Taken> {
        if reservations.is_empty() {
            return Ok(Taken::default());
        }
        let ids: Vec<JobId> = reservations.iter().map(|reservation| reservation.id).collect();
        // Reservations of the same tree cannot be told from the caller's own afterwards. A new tree
        // has no jobs.
        let old = reservations.iter().filter(|reservation| !new.contains(&reservation.root));
        let old: Vec<JobId> = old.map(|reservation| reservation.id).collect();
        let (found, (), ()) = futures_util::try_join!(
            self.trees.find(&old),
            self.ids.note(ids.iter().copied()),
            self.write(reservations)
        )?;
        let mut taken = Taken { by_others: found.into_keys().collect(), deleted: HashSet::new() };
        let mine: HashMap<JobId, &IdReservation> =
            reservations.iter().map(|reservation| (reservation.id, reservation)).collect();
        let is_other = |reservation: &IdReservation| {
            let mine = mine.get(&reservation.id);
            mine.is_some_and(|mine| {
                (mine.root, mine.stage) != (reservation.root, reservation.stage)
            })
        };
        let found = self.trees.reservations(&ids).await?;
        for other in found.into_iter().filter(is_other) {
            if other.stage == DELETED {
                taken.deleted.insert(other.id);
            } else if !taken.by_others.contains(&other.id) && self.is_in_the_way(&other).await? {
                taken.by_others.insert(other.id);
            }
        }
        Ok(taken)
    }

    async fn write(&self, reservations: &[IdReservation]) -> Result<()> {
        let mut buckets: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for IdReservation { id, root, stage, parent } in reservations {
            let bucket = keys::bucket(*id);
            let row = (bucket, keys::number(*id), keys::number(*root), *stage, *parent);
            buckets.entry(bucket).or_default().push((RESERVATION_BYTES, row));
        }
        let put = &self.cluster.statements.put_origin;
        let writes = buckets.into_values().map(|rows| self.cluster.write_rows(put, rows));
        futures_util::stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Whether another reservation may come true; if the answer is no, it can never do so.
    pub async fn is_in_the_way(&self, other: &IdReservation) -> Result<bool> {
        if other.stage == DELETED {
            return Ok(true);
        }
        if self.trees.visible(other).await?.is_some() {
            return Ok(true);
        }
        // While a deleted tree is removed, rows of its ids are.
        let log = self.trees.refresh_log(&self.trees.tree(other.root)).await?;
        if log.is_some_and(|tail| tail.deletion().is_some()) {
            return Ok(true);
        }
        if other.stage == NO_STAGE {
            fence(&self.cluster, &self.trees, other.root, None).await?;
            return Ok(self.trees.visible(other).await?.is_some());
        }
        let stage = StageId(other.stage as u64);
        match self.stages.fate(stage, other.root).await? {
            Fate::Alive => Ok(true),
            Fate::Dead => Ok(false),
            Fate::Left => {
                fence(&self.cluster, &self.trees, other.root, Some(stage)).await?;
                Ok(self.trees.visible(other).await?.is_some())
            }
        }
    }
}
