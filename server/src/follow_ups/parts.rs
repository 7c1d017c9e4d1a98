use std::sync::Arc;

use jobtracker_engine::Engine;
use jobtracker_store::Store;
use tokio::sync::Semaphore;

use super::{FollowUpMetrics, Uptime, Validator};
use crate::{
    outbox::{HostLimits, Mailer, Poster, Schedule},
    tasks::Workers,
};

/// All that the follow-ups need.
pub(crate) struct Parts {
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    pub poster: Poster,
    /// None when no SMTP server is configured.
    pub mailer: Option<Mailer>,
    pub schedule: Schedule,
    pub hosts: Arc<HostLimits>,
    /// Room for deliveries that are read before their turn.
    pub prepared: Arc<Semaphore>,
    pub metrics: FollowUpMetrics,
    pub uptime: Uptime,
    /// Who has the tasks whose leases are due.
    pub workers: Arc<Workers>,
}

/// Deliveries of up to some 30 KB each that are in memory before their turn.
pub(crate) const PREPARED: usize = 4_000;

impl Parts {
    /// Validates what can be followed here.
    pub fn validator(&self) -> Validator {
        Validator { guard: self.poster.guard(), has_mailer: self.mailer.is_some() }
    }
}
