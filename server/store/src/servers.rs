use std::time::Duration;

use async_trait::async_trait;
use jobtracker_model::JobId;

use crate::Result;

/// What the servers that share a store agree on: ids, background parts, and when one of them was
/// up.
#[async_trait]
pub trait Servers: Send + Sync + 'static {
    /// Whether other servers may commit to the same trees, so that what this server knows may be
    /// old.
    fn is_shared(&self) -> bool {
        false
    }

    /// How far the clocks of its servers may differ from the right time.
    fn max_clock_skew(&self) -> Duration {
        Duration::ZERO
    }

    /// Gives out `count` consecutive ids, larger than any given before, never given twice, and none
    /// of which names a job yet. Answers the first.
    async fn reserve_ids(&self, count: u32) -> Result<JobId>;

    /// Whether this server may run the background part of that name for this time; asking again in
    /// time keeps the lease. Of several servers on one store one may, and another when it has gone.
    /// A lease saves work and promises nothing: two servers may believe that they have it.
    async fn lease(&self, part: &str, time: Duration) -> Result<bool> {
        let _ = (part, time);
        Ok(true)
    }

    /// The note of when one of the servers was up, if there is one.
    async fn get_uptime(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Replaces that note. It may be lost with the machine; a store that ends with its process need
    /// not keep it.
    async fn put_uptime(&self, note: Vec<u8>) -> Result<()> {
        let _ = note;
        Ok(())
    }
}
