//! Leases: which of several servers does a background part.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::{
    attempt::{Attempt, Seen},
    cluster::Cluster,
};
use crate::Result;

pub struct Leases {
    cluster: Arc<Cluster>,
    server: Uuid,
    take: PreparedStatement,
    keep: PreparedStatement,
    drop: PreparedStatement,
    /// The parts that this server had when it last asked.
    held: Mutex<HashSet<String>>,
}

impl Leases {
    pub fn new(cluster: Arc<Cluster>, server: Uuid) -> Self {
        let take = cluster.attempts.ready(&cluster.statements.take_lease);
        let keep = cluster.attempts.ready(&cluster.statements.keep_lease);
        let drop = cluster.attempts.ready(&cluster.statements.drop_lease);
        Self { cluster, server, take, keep, drop, held: Mutex::default() }
    }

    /// Gives up all parts, so that the next server need not wait until the leases end.
    pub async fn leave(&self) -> Result<()> {
        let held = std::mem::take(&mut *self.held.lock());
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        for name in held {
            if let Attempt::NotSent(error) =
                attempts.one(session, &self.drop, (name.as_str(), self.server)).await?
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether this server has a part for this time, in whole seconds. The cluster ends a lease by
    /// itself. Each part has one time: to keep a lease for less than it was taken for does not
    /// shorten it.
    ///
    /// Servers ask all the time, and a condition costs as much as ten reads: a part that this
    /// server has, it keeps by one condition; a part that another server has costs a read.
    pub async fn take(&self, part: &str, time: Duration) -> Result<bool> {
        let seconds = i32::try_from(time.as_secs().max(1)).unwrap_or(i32::MAX);
        let name = format!("lease {part}");
        let was_held = self.held.lock().contains(&name);
        let has = (was_held && self.keep(&name, seconds).await?)
            || (!self.is_of_another(&name).await? && self.take_or_keep(&name, seconds).await?);
        let mut held = self.held.lock();
        if has {
            held.insert(name)
        } else {
            held.remove(&name)
        };
        Ok(has)
    }

    /// Whether another server has it, as far as a plain read tells.
    async fn is_of_another(&self, name: &str) -> Result<bool> {
        let statement = &self.cluster.statements.lease_owner;
        let row: Option<(Option<Uuid>,)> = self.cluster.row(statement, (name,)).await?;
        let owner = row.and_then(|(owner,)| owner);
        Ok(owner.is_some_and(|owner| owner != self.server))
    }

    async fn take_or_keep(&self, name: &str, seconds: i32) -> Result<bool> {
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        match attempts.one(session, &self.take, (name, self.server, seconds)).await? {
            Attempt::Applied => Ok(true),
            Attempt::Lost(Seen { cid: Some(owner), .. }) if owner == self.server => {
                self.keep(name, seconds).await
            }
            Attempt::NotSent(error) => Err(error),
            // It is not known who has it, so not this server.
            _ => Ok(false),
        }
    }

    async fn keep(&self, name: &str, seconds: i32) -> Result<bool> {
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        let values = (seconds, self.server, name, self.server);
        match attempts.one(session, &self.keep, values).await? {
            Attempt::NotSent(error) => Err(error),
            attempt => Ok(matches!(attempt, Attempt::Applied)),
        }
    }
}
