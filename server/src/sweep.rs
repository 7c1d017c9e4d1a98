use std::{sync::Arc, time::Duration};

use jobtracker_model::Timestamp;
use jobtracker_store::{Result, Store};
use tokio::sync::watch;

use crate::{
    UploadsConfig,
    access::{Access, Audit},
    clock,
};

/// How often the store is swept.
const EVERY: Duration = Duration::from_secs(600);
/// How long a server has the lease on the sweep: it renews the lease before that is over, and if
/// the server is gone, another one takes the lease.
const LEASED: Duration = Duration::from_secs(2 * 600);
/// The name of the lease.
const PART: &str = "sweep";
/// Uploads that are forgotten at once.
const AT_ONCE: usize = 100;

/// Forgets what is old enough: outcomes of uploads, tokens that are not accepted any more,
/// entries of the audit list. Any number of servers may do that at once; the lease saves the
/// repeated work.
pub(crate) struct Sweep {
    pub store: Arc<dyn Store>,
    pub access: Arc<Access>,
    pub audit: Arc<Audit>,
    /// How long the outcome of an upload is kept, in milliseconds.
    pub keep_ms: i64,
}

impl Sweep {
    pub fn new(
        store: &Arc<dyn Store>,
        access: &Arc<Access>,
        audit: &Arc<Audit>,
        uploads: &UploadsConfig,
    ) -> Self {
        let (store, access, audit) = (Arc::clone(store), Arc::clone(access), Arc::clone(audit));
        Self { store, access, audit, keep_ms: i64::from(uploads.keep_hours) * 3_600_000 }
    }

    /// Sweeps at intervals, until the service stops.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        loop {
            let round = async {
                if let Err(error) = self.tick(clock::now()).await {
                    tracing::warn!(%error, "what is old cannot be forgotten now");
                }
                tokio::time::sleep(EVERY).await;
            };
            tokio::select! {
                () = round => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Sweeps once, unless another server does.
    pub async fn tick(&self, now: Timestamp) -> Result<()> {
        if !self.store.lease(PART, LEASED).await? {
            return Ok(());
        }
        let before = Timestamp::from_millis(now.millis() - self.keep_ms);
        let before = before.unwrap_or(Timestamp::MIN);
        while self.store.forget_uploads(before, AT_ONCE).await? == AT_ONCE {}
        self.access.tokens.sweep(now).await?;
        self.audit.sweep(now).await
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::upload::{UploadId, UploadOutcome};
    use jobtracker_store::{UploadRow, memory::MemoryStore};

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn a_commit_is_remembered_as_long_as_is_configured() {
        const HOUR: i64 = 3_600_000;
        let at = |hours: i64| Timestamp::from_millis(1_000 + hours * HOUR).unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = Config::defaults();
        let access = Access::new(Arc::clone(&store), &config.auth.token, &config.access);
        let sweep = Sweep {
            store: Arc::clone(&store),
            access: Arc::new(access),
            audit: Arc::new(Audit::new(Arc::clone(&store), config.access.audit_days)),
            keep_ms: 48 * HOUR,
        };
        let id = |number: usize| format!("commit-{number}").parse::<UploadId>().unwrap();
        // More uploads than are forgotten at once.
        for number in 0..=AT_ONCE {
            let row = UploadRow { outcome: UploadOutcome::new(id(number)), time: at(0) };
            store.complete_upload(row, Vec::new()).await.unwrap();
        }
        for (hours, remembered) in [(24, true), (48, true), (49, false)] {
            sweep.tick(at(hours)).await.unwrap();
            for number in [0, AT_ONCE] {
                let row = store.get_upload(&id(number)).await.unwrap();
                assert_eq!(row.is_some(), remembered, "{number} after {hours} hours");
            }
        }
        // A time near the smallest is no reason to fail.
        sweep.tick(Timestamp::MIN).await.unwrap();
    }
}
