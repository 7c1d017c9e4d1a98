use std::{sync::Arc, time::Duration};

use jobtracker_engine::{Deletion, Engine, Error as EngineError};
use jobtracker_model::{JobId, NamedRetentionRule};
use jobtracker_store::{
    Error as StoreError, FollowUpKey, JobRow, Listed, PageLimit, RowsQuery, Store, Tombstone,
    Version,
};
use prometheus_client::registry::Registry;

use super::{
    metrics::{By, DeletionMetrics},
    summary::summary,
};

/// How often a tree is looked at that changes meanwhile.
const TRIES: usize = 5;
/// Jobs that are looked at in one read for what is still to be done.
const JOBS_AT_ONCE: usize = 10_000;

/// Why a tree was not deleted.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DeletionError {
    /// Something is still to be done for it.
    #[error("{} of job {id} is still to be done", described(*key))]
    OpenFollowUp {
        /// The job.
        id: JobId,
        /// Its delivery or check.
        key: FollowUpKey,
    },
    /// It is not there, is not a root, or keeps changing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for DeletionError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Deletes trees.
pub(crate) struct Deletions {
    engine: Engine,
    store: Arc<dyn Store>,
    /// How long it is known that a tree was deleted.
    tombstone_kept: Duration,
    metrics: DeletionMetrics,
}

impl Deletions {
    pub fn new(engine: Engine, store: Arc<dyn Store>, tombstone_kept: Duration) -> Self {
        Self { engine, store, tombstone_kept, metrics: DeletionMetrics::default() }
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Deletes a tree by hand.
    pub async fn by_hand(&self, root: JobId, name: &str) -> Result<Tombstone, DeletionError> {
        let deleted = self.delete(root, name, None, |_| true).await?;
        let deleted = deleted.ok_or(EngineError::JobNotFound(root))?;
        self.metrics.count(By::Hand, &deleted);
        Ok(deleted)
    }

    /// Deletes a tree by a rule, if `judge` still wants that of its root.
    pub async fn by_rule(
        &self,
        root: JobId,
        rule: &NamedRetentionRule,
        judge: impl Fn(&JobRow) -> bool,
    ) -> Result<Option<Tombstone>, DeletionError> {
        let by = format!("retention:{}", rule.name);
        let deleted = self.delete(root, &by, rule.rule.summary_days, judge).await?;
        deleted.iter().for_each(|deleted| self.metrics.count(By::Rule, deleted));
        Ok(deleted)
    }

    /// The engine deletes the version that was judged and no other one.
    async fn delete(
        &self,
        root: JobId,
        by: &str,
        summary_days: Option<u32>,
        judge: impl Fn(&JobRow) -> bool,
    ) -> Result<Option<Tombstone>, DeletionError> {
        let mut tried = 0;
        loop {
            let (version, _) = self.store.commits_after(root, Version::MAX).await?;
            let row = self.store.get_job(root).await?;
            let mut deletion = Deletion {
                root,
                version,
                by: by.to_owned(),
                tombstone_kept: self.tombstone_kept,
                summary: None,
            };
            // What is not there, or no root, is for the engine to refuse.
            if let Some(row) = row.filter(|row| row.parent.is_none()) {
                if !judge(&row) {
                    return Ok(None);
                }
                self.check_follow_ups(root).await?;
                if let Some(days) = summary_days {
                    // As long as it says, and no shorter than the tombstone.
                    let kept = Duration::from_secs(u64::from(days) * 86_400);
                    deletion.tombstone_kept = deletion.tombstone_kept.max(kept);
                    deletion.summary = Some(Arc::new(summary(&*self.store, row).await?));
                }
            }
            tried += 1;
            match self.engine.delete(deletion).await {
                Err(EngineError::TreeChanged(_)) if tried < TRIES => {}
                deleted => return Ok(Some(deleted?)),
            }
        }
    }

    /// Refuses a tree for which something is still to be done.
    async fn check_follow_ups(&self, root: JobId) -> Result<(), DeletionError> {
        let limit = PageLimit { items: 1, bytes: 1, scan: JOBS_AT_ONCE };
        let mut query = RowsQuery { root, after: None, limit };
        loop {
            let Listed { items, next } = match self.store.list_waiting(query.clone()).await {
                // It was deleted, or has changed, meanwhile: the engine will say so.
                Err(StoreError::UnknownJob(_)) => return Ok(()),
                page => page?,
            };
            if let Some((id, key)) = items.first() {
                return Err(DeletionError::OpenFollowUp { id: *id, key: *key });
            }
            query.after = next;
            if query.after.is_none() {
                return Ok(());
            }
        }
    }
}

fn described(key: FollowUpKey) -> String {
    match key {
        FollowUpKey::Delivery(number) => format!("delivery {number}"),
        FollowUpKey::Check(number) => format!("check {number}"),
        FollowUpKey::Action(number) => format!("action {number}"),
        FollowUpKey::Watch => "a follow-up".to_owned(),
        FollowUpKey::Task => "the task".to_owned(),
    }
}
