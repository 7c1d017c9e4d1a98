//! Ids that are given out: a counter, and a list of the ids beyond it that callers have chosen.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jobtracker_model::JobId;
use scylla::statement::prepared::PreparedStatement;

use super::{
    attempt::{Attempt, Seen},
    cluster::Cluster,
    failure,
    keys::{self, listing},
};
use crate::{Error, Result};

/// The register of the smallest id that has not been given out.
const NEXT: &str = "ids";
/// Races for the register that are lost before the caller hears of it.
const RACES: usize = 1_000;

pub struct Ids {
    cluster: Arc<Cluster>,
    first: PreparedStatement,
    next: PreparedStatement,
    /// A lower bound of the register, as this server last saw it.
    seen: AtomicU64,
}

impl Ids {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let first = cluster.attempts.ready(&cluster.statements.first_register);
        let next = cluster.attempts.ready(&cluster.statements.next_register);
        Self { cluster, first, next, seen: AtomicU64::new(0) }
    }

    /// Gives out consecutive ids. When it is not known whether a block was taken, the next one is:
    /// ids may have gaps.
    pub async fn reserve(&self, count: u32) -> Result<JobId> {
        let exhausted = Error::IdsExhausted(count);
        let more = u64::from(count.max(1)) - 1;
        let mut known = self.value().await?;
        let mut patience = self.cluster.doubt();
        for _ in 0..RACES {
            let first = self.free_block(known.unwrap_or(JobId::MIN.get()), more).await?;
            let Some(first) = first else { return Err(exhausted) };
            let end = first.get() + more;
            match self.raise(known, end + 1).await? {
                Attempt::Applied => {
                    // A caller may have chosen one of them just before.
                    self.seen.fetch_max(end + 1, Ordering::Relaxed);
                    if self.last_chosen(first.get(), end).await?.is_none() {
                        return Ok(first);
                    }
                    known = Some(end + 1);
                }
                Attempt::Lost(Seen { version: Some(version), .. }) => {
                    known = Some(version);
                }
                Attempt::Lost(_) => known = self.value().await?,
                Attempt::NotSent(error) => return Err(error),
                Attempt::Unknown(error) => {
                    tracing::debug!(error, "a block of ids may have been lost");
                    if !patience.wait().await {
                        return Err(failure::asking(error));
                    }
                    known = self.value().await?;
                }
            }
        }
        Err(Error::Unavailable("too many reserve ids at once".into()))
    }

    async fn value(&self) -> Result<Option<u64>> {
        let statement = &self.cluster.statements.register;
        let row: Option<(Option<i64>,)> = self.cluster.row(statement, (NEXT,)).await?;
        let value = row.and_then(|(value,)| value).and_then(|value| u64::try_from(value).ok());
        self.seen.fetch_max(value.unwrap_or(0), Ordering::Relaxed);
        Ok(value)
    }

    /// Sets the register, which may go one past the largest id.
    async fn raise(&self, from: Option<u64>, to: u64) -> Result<Attempt> {
        let to = to.min(i64::MAX as u64) as i64;
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        match from {
            None => attempts.one(session, &self.first, (NEXT, to)).await,
            Some(from) => attempts.one(session, &self.next, (to, NEXT, from as i64)).await,
        }
    }

    /// The first block from here on in which no caller has chosen an id.
    async fn free_block(&self, from: u64, more: u64) -> Result<Option<JobId>> {
        let mut first = from;
        loop {
            let Some(end) = first.checked_add(more).filter(|end| *end < JobId::MAX.get()) else {
                return Ok(None);
            };
            match self.last_chosen(first, end).await? {
                Some(chosen) => first = chosen + 1,
                None => return Ok(JobId::new(first)),
            }
        }
    }

    /// The largest id of a block that a caller has chosen.
    async fn last_chosen(&self, first: u64, end: u64) -> Result<Option<u64>> {
        for slot in (keys::chosen_slot(first)..=keys::chosen_slot(end)).rev() {
            let mut behind = (first as i64 - 1, String::from("~"));
            let mut last = None;
            loop {
                let statement = &self.cluster.statements.listed;
                let key = (listing::CHOSEN, slot, behind.0, &behind.1);
                let rows: Vec<(i64, String, Option<Vec<u8>>)> =
                    self.cluster.rows(statement, key).await?;
                let Some((place, key, _)) = rows.last() else { break };
                behind = (*place, key.clone());
                let chosen = rows.iter().map(|(place, ..)| *place as u64);
                last = last.max(chosen.filter(|id| *id <= end).max());
            }
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Lists the ids among these that have not been given out, so that they are not given out
    /// later. If two creators have the same id all the same, their reservations decide.
    pub async fn note(&self, ids: impl Iterator<Item = JobId> + Clone) -> Result<()> {
        let is_new = |id: &JobId| id.get() >= self.seen.load(Ordering::Relaxed);
        if !ids.clone().any(|id| is_new(&id)) {
            return Ok(());
        }
        self.value().await?;
        let mut slots = std::collections::BTreeMap::new();
        for id in ids.filter(is_new) {
            let slot = keys::chosen_slot(id.get());
            let row = (listing::CHOSEN, slot, keys::number(id), "", Option::<Vec<u8>>::None);
            slots.entry(slot).or_insert_with(Vec::new).push((40, row));
        }
        for rows in slots.into_values() {
            self.cluster.write_rows(&self.cluster.statements.put_listing, rows).await?;
        }
        Ok(())
    }
}
