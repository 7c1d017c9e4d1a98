//! The one conditional batch of a commit, sent until its outcome is known.

use std::time::Duration;

use jobtracker_model::JobId;
use uuid::Uuid;

use super::{
    attempt::{Attempt, PAUSE, Seen},
    cluster::Cluster,
    keys,
    open::stage_key,
    patience::Patience,
    trees::TreeCache,
};
use crate::{Error, Result, StageId, Version};

/// The head that a commit follows.
#[derive(Clone, Copy)]
pub struct Base {
    /// The name of the commit at the head; `None` when there is no tree.
    pub cid: Option<Uuid>,
    pub version: Version,
}

/// The content of the conditional batch.
pub struct Sending {
    pub root: JobId,
    pub base: Base,
    pub cid: Uuid,
    pub stamp: i64,
    pub stage: Option<StageId>,
    pub body: Option<Vec<u8>>,
    pub parts: Option<i32>,
}

impl Sending {
    /// Whether the tree has gone on from what this follows: this commit may have done that.
    fn is_followed(&self, seen: Seen) -> bool {
        seen.version != Some(self.base.version)
    }

    /// Sends a commit until its outcome is known, or until it has taken too long.
    ///
    /// All sendings have one name, so that at most one of them comes true: after that, the head
    /// that they follow is gone.
    pub async fn resolve(
        &self,
        cluster: &Cluster,
        trees: &TreeCache,
        patience: Duration,
    ) -> Result<()> {
        let mut patience = Patience::new(patience, PAUSE);
        let mut doubt: Option<String> = None;
        loop {
            let attempt = match (self.attempt(cluster).await, &doubt) {
                (Ok(attempt), _) => attempt,
                (Err(error), None) => return Err(error),
                // The store is being closed: an earlier sending may have come true.
                (Err(_), Some(why)) => return Err(Error::OutcomeUnknown(why.clone())),
            };
            match attempt {
                Attempt::Applied => return Ok(()),
                Attempt::Lost(seen) if seen.cid == Some(self.cid) => return Ok(()),
                Attempt::Lost(seen) if doubt.is_none() || !self.is_followed(seen) => {
                    if let (Some(0), Some(cid)) = (seen.version, seen.cid) {
                        // The next attempt to create this tree has to follow this name.
                        trees.remember_empty(self.root, cid);
                    }
                    return Err(Error::Stale { root: self.root });
                }
                Attempt::Lost(seen) => {
                    if let Some(outcome) = self.followed(cluster, seen).await {
                        return outcome;
                    }
                }
                Attempt::NotSent(error) if doubt.is_none() => return Err(error),
                Attempt::NotSent(error) => doubt = Some(error.to_string()),
                Attempt::Unknown(error) => doubt = Some(error),
            }
            if !patience.wait().await {
                let why = doubt.unwrap_or_else(|| "it was overtaken".into());
                return Err(Error::OutcomeUnknown(why));
            }
        }
    }

    /// An earlier sending may have come true and been followed by others: the log tells, as long as
    /// it has that entry.
    async fn followed(&self, cluster: &Cluster, seen: Seen) -> Option<Result<()>> {
        let Sending { root, base, cid, .. } = self;
        let key = (keys::number(*root), base.version as i64 + 1);
        let statement = &cluster.statements.redo;
        let found: Result<Option<(Option<Uuid>,)>> = cluster.row(statement, key).await;
        match found {
            Ok(Some((Some(found),))) if found == *cid => Some(Ok(())),
            Ok(Some(_)) => Some(Err(Error::Stale { root: *root })),
            Ok(None) => {
                let why = format!("the log of tree {root} has gone on to {:?}", seen.version);
                Some(Err(Error::OutcomeUnknown(why)))
            }
            Err(_) => None,
        }
    }

    async fn attempt(&self, cluster: &Cluster) -> Result<Attempt> {
        let (attempts, session) = (&cluster.attempts, cluster.session());
        let Sending { root, base, cid, stamp, stage, body, parts } = self;
        let (root, next) = (keys::number(*root), base.version as i64 + 1);
        let redo = (root, next, *cid, *stamp, body.as_deref(), *parts);
        let mark = stage.map(|stage| (root, stage_key(stage.0), next));
        match (base.cid, mark) {
            (None, None) => {
                let head = (root, next, *cid);
                attempts.batch(session, &attempts.first[0], (head, redo)).await
            }
            (None, Some(mark)) => {
                let head = (root, next, *cid);
                attempts.batch(session, &attempts.first[1], (head, redo, mark)).await
            }
            (Some(before), None) => {
                let head = (next, *cid, root, base.version as i64, before);
                attempts.batch(session, &attempts.next[0], (head, redo)).await
            }
            (Some(before), Some(mark)) => {
                let head = (next, *cid, root, base.version as i64, before);
                attempts.batch(session, &attempts.next[1], (head, redo, mark)).await
            }
        }
    }
}
