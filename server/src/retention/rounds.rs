use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_engine::Error as EngineError;
use jobtracker_model::{JobId, NamedRetentionRule, Order, Timestamp};
use jobtracker_store::{Error as StoreError, JobRow, Listed, PageLimit, RootsQuery, Store};
use tokio::sync::watch;

use super::{DeletionError, Deletions, Rule, Rules};
use crate::clock;

/// Roots that are looked at in one read.
const PAGE: usize = 500;
/// After each page the round pauses this many times as long as the page took, so that it takes a
/// fifth of one processor at most.
const PAUSES: u32 = 4;
/// Deleted trees that have rows left, at which a round waits. On a cluster most of them only wait
/// until no reader can need their rows.
const REMOVALS: usize = 64;
const REMOVALS_SHARED: usize = 10_000;
/// How often it looks whether they have been removed, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(600);
/// Trees in a row that cannot be deleted, after which a round ends.
const FAILURES: usize = 10;
/// How long a server has the lease on the rounds; it renews the lease with each page. When a server
/// was killed, the others wait as long. If a page takes longer, two servers may judge the same
/// trees, which does no harm: each deletion is on the condition of the version that was judged.
const LEASED: Duration = Duration::from_secs(30);
/// The name of the lease.
const PART: &str = "retention";
/// Deleted trees that are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// Deletes the trees that rules mean, in rounds through all roots. Without rules it does nothing.
pub(crate) struct Rounds {
    pub store: Arc<dyn Store>,
    pub rules: Arc<Rules>,
    pub deletions: Arc<Deletions>,
    /// The pause between two rounds.
    pub every: Duration,
}

/// A rule as it was put, and ready to be asked.
type Named = (NamedRetentionRule, Rule);

impl Rounds {
    /// Makes rounds until the service stops.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        loop {
            let round = async {
                if let Err(error) = self.round(clock::now()).await {
                    tracing::warn!(%error, "old trees cannot be deleted now");
                }
                tokio::time::sleep(self.every).await;
            };
            tokio::select! {
                () = round => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Makes one round, unless another server does; answers how many trees it has deleted.
    pub async fn round(&self, now: Timestamp) -> Result<u64, StoreError> {
        if !self.store.lease(PART, LEASED).await? {
            return Ok(0);
        }
        while self.store.forget_tombstones(now, FORGOTTEN_AT_ONCE).await? == FORGOTTEN_AT_ONCE {}
        let rules = self.rules.all().await?;
        let rules = rules.into_iter().filter(|rule| rule.rule.enabled).collect();
        let Some(rules) = compile(rules).await else { return Ok(0) };
        let (mut deleted, mut failures, mut after) = (0, 0, None);
        loop {
            let begun = Instant::now();
            let (from, to, limit) = (Timestamp::MIN, Timestamp::MAX, PageLimit::items(PAGE));
            let query = RootsQuery { from, to, order: Order::Newest, after, limit };
            let Listed { items, next } = self.store.list_roots(query).await?;
            let meant = meant(&rules, items, now).await;
            let pause = begun.elapsed() * PAUSES;
            for (root, rule) in meant {
                match self.delete(root, &rules[rule], now).await {
                    Ok(is_deleted) => (deleted, failures) = (deleted + u64::from(is_deleted), 0),
                    // One tree that cannot be read does not keep the others.
                    Err(error) if failures < FAILURES => {
                        failures += 1;
                        tracing::warn!(%root, %error, "a tree cannot be deleted now");
                    }
                    Err(error) => return Err(error),
                }
            }
            after = next;
            if after.is_none() || !self.store.lease(PART, LEASED).await? {
                return Ok(deleted);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes a tree if the rule is still in force and still means it; one that cannot be deleted
    /// is left for the next round.
    async fn delete(
        &self,
        root: JobId,
        (named, rule): &Named,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.until_there_is_room().await?;
        if !self.rules.has(named).await? {
            return Ok(false);
        }
        let judge = |row: &JobRow| rule.means(row, now).unwrap_or(false);
        match self.deletions.by_rule(root, named, judge).await {
            Ok(deleted) => Ok(deleted.is_some()),
            Err(DeletionError::Engine(EngineError::Store(error))) => Err(error),
            Err(error) => {
                tracing::debug!(%root, rule = named.name, %error, "a tree is not deleted now");
                Ok(false)
            }
        }
    }

    /// Waits until few deleted trees have rows left.
    async fn until_there_is_room(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let most = if self.store.is_shared() { REMOVALS_SHARED } else { REMOVALS };
        while self.store.removals() >= most {
            if begun.elapsed() > PATIENCE {
                let why = "the rows of deleted trees are not removed";
                return Err(StoreError::Unavailable(why.to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
            self.store.lease(PART, LEASED).await?;
        }
        Ok(())
    }
}

/// The rules that can be compiled, which were so when they were put; `None` without any.
async fn compile(rules: Vec<NamedRetentionRule>) -> Option<Arc<Vec<Named>>> {
    if rules.is_empty() {
        return None;
    }
    let compiled = elsewhere(move || {
        let compiled = rules.into_iter().filter_map(|named| {
            let compiled = Rule::compile(named.rule.clone());
            let compiled = compiled.inspect_err(|error| {
                tracing::warn!(rule = named.name, %error, "a retention rule is not in force");
            });
            Some((named, compiled.ok()?))
        });
        compiled.collect::<Vec<_>>()
    });
    Some(Arc::new(compiled.await))
}

/// The roots whose trees are to be deleted, each with the first rule that means it. A root for
/// which an expression has no value is left alone.
async fn meant(rules: &Arc<Vec<Named>>, roots: Vec<JobRow>, now: Timestamp) -> Vec<(JobId, usize)> {
    let rules = Arc::clone(rules);
    elsewhere(move || {
        let means = |root: &JobRow, rule: &Named| rule.1.means(root, now).unwrap_or(false);
        let meant = roots
            .iter()
            .filter_map(|root| Some((root.id, rules.iter().position(|rule| means(root, rule))?)));
        meant.collect()
    })
    .await
}

/// Expressions compute without waiting, so they do that on a thread that may block.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work neither panics nor is cancelled")
}
