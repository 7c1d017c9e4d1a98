//! Where jobs are found: claims on ids, and which of them have come true.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use jobtracker_model::JobId;

use super::{
    keys,
    snapshot::Moment,
    trees::{Place, Trees},
};
use crate::{Origin, Result};

/// Reads that one call has under way at once.
pub const READS_AT_ONCE: usize = 16;
/// Reads that are made side by side.
pub type Several<'a, T> = Vec<BoxFuture<'a, Result<T>>>;
/// Ids in one statement.
pub const IDS: usize = 100;

/// That a tree has a job, if that job is visible there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    pub id: JobId,
    /// The tree.
    pub root: JobId,
    /// The stage that it is put aside in, or none.
    pub stage: i64,
    /// The parent, as keys have it.
    pub parent: i64,
}

type ClaimRow = (i64, i64, i64, i64);

impl Trees {
    /// All claims on these ids.
    pub async fn claims(&self, ids: &[JobId]) -> Result<Vec<Claim>> {
        let mut buckets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for id in ids {
            buckets.entry(keys::bucket(*id)).or_default().push(keys::number(*id));
        }
        let mut reads: Several<'_, Vec<ClaimRow>> = Vec::new();
        for (bucket, ids) in &buckets {
            for ids in ids.chunks(IDS) {
                let statement = &self.cluster.statements.origins;
                reads.push(Box::pin(self.cluster.rows(statement, (*bucket, ids.to_vec()))));
            }
        }
        let mut claims = Vec::new();
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(rows) = reads.try_next().await? {
            claims.extend(rows.into_iter().filter_map(|(id, root, stage, parent)| {
                Some(Claim { id: keys::id(id)?, root: keys::id(root)?, stage, parent })
            }));
        }
        Ok(claims)
    }

    /// Where the job of a claim is, if it is visible there.
    pub async fn visible(self: &Arc<Self>, claim: &Claim) -> Result<Option<Place>> {
        let found = self.visible_in(claim.root, vec![*claim]).await?;
        Ok(found.into_iter().next().map(|(_, place)| place))
    }

    /// Where those of the jobs are that are visible.
    pub async fn find(self: &Arc<Self>, ids: &[JobId]) -> Result<HashMap<JobId, Place>> {
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
        let mut trees: BTreeMap<JobId, Vec<Claim>> = BTreeMap::new();
        for claim in self.claims(&left).await? {
            trees.entry(claim.root).or_default().push(claim);
        }
        let mut reads: Several<'_, Vec<(JobId, Place)>> = Vec::new();
        for (root, claims) in trees {
            reads.push(Box::pin(self.visible_in(root, claims)));
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
        claims: Vec<Claim>,
    ) -> Result<Vec<(JobId, Place)>> {
        match Moment::now(self, root).await? {
            Some(moment) => moment.places(&claims).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Place {
    /// The claim that has come true here.
    pub fn claim(&self, id: JobId) -> Claim {
        let Origin { root, parent, .. } = self.origin;
        Claim { id, root, stage: self.stage, parent: keys::parent(parent) }
    }

    /// The partition of the table of jobs that has it.
    pub fn page(&self, id: JobId) -> (i64, i64) {
        let Origin { parent, .. } = self.origin;
        (keys::parent(parent), keys::bucket(id))
    }
}
