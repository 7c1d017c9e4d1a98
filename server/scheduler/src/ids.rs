use jobtracker_engine::Engine;
use jobtracker_model::JobId;
use parking_lot::Mutex;

use crate::Result;

/// Ids that are reserved at once.
const BLOCK: u32 = 1_000;

/// Ids of runs to come: a few blocks for very many firings. Those that are left at the end of the
/// process are a gap.
#[derive(Debug)]
pub(crate) struct IdPool(Mutex<(JobId, u32)>);

impl IdPool {
    pub fn new() -> Self {
        Self(Mutex::new((JobId::MIN, 0)))
    }

    /// The first of this many consecutive ids.
    pub async fn take(&self, engine: &Engine, count: u32) -> Result<JobId> {
        if let Some(first) = self.take_left(count) {
            return Ok(first);
        }
        let block = engine.reserve_ids(count.max(BLOCK)).await?;
        let left = block.count - count;
        let mut pool = self.0.lock();
        if left > pool.1
            && let Some(next) = JobId::new(block.first.get() + u64::from(count))
        {
            *pool = (next, left);
        }
        Ok(block.first)
    }

    fn take_left(&self, count: u32) -> Option<JobId> {
        let (first, left) = &mut *self.0.lock();
        let taken = *first;
        *left = left.checked_sub(count)?;
        *first = JobId::new(first.get() + u64::from(count))?;
        Some(taken)
    }
}
