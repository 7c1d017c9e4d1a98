//! Leases: which of several servers does a background part.

use std::{sync::Arc, time::Duration};

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
}

impl Leases {
    pub fn new(cluster: Arc<Cluster>, server: Uuid) -> Self {
        let take = cluster.attempts.ready(&cluster.statements.take_lease);
        let keep = cluster.attempts.ready(&cluster.statements.keep_lease);
        Self { cluster, server, take, keep }
    }

    /// Whether this server has a part for so long, in whole seconds. The cluster lets go of it by
    /// itself. Each part has one time: to keep a lease for less than it was taken for does not
    /// shorten it.
    pub async fn take(&self, part: &str, time: Duration) -> Result<bool> {
        let seconds = i32::try_from(time.as_secs().max(1)).unwrap_or(i32::MAX);
        let name = format!("lease {part}");
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        let values = (&name, self.server, seconds);
        match attempts.one(session, &self.take, values).await? {
            Attempt::Applied => return Ok(true),
            Attempt::Lost(Seen { cid: Some(owner), .. }) if owner == self.server => {}
            Attempt::NotSent(error) => return Err(error),
            // Nobody knows who has it: not this one, then.
            _ => return Ok(false),
        }
        let values = (seconds, self.server, &name, self.server);
        Ok(matches!(attempts.one(session, &self.keep, values).await?, Attempt::Applied))
    }
}
