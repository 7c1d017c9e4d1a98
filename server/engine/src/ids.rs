use jobtracker_model::JobId;
use jobtracker_store::{Error, Result, Store};

/// Ids that the store has given to this engine and that no job has yet. Ids that are left when the
/// engine ends are never given out; ids may have gaps.
#[derive(Debug, Default)]
pub(crate) struct IdLease {
    next: u64,
    end: u64,
}

impl IdLease {
    /// How many ids are taken from the store beyond those that are needed.
    const AHEAD: u32 = 1_000;

    /// Drops the held ids if a caller has chosen one of them for a job: ids given out later must
    /// name no job, and the store's next block lies behind this one.
    pub fn avoid(&mut self, id: JobId) {
        if (self.next..self.end).contains(&id.get()) {
            self.next = self.end;
        }
    }

    /// Takes `count` consecutive ids; answers the first. `more` is how many are known to be needed
    /// after these: if the store has to be asked, they are taken with them.
    pub async fn take(&mut self, store: &dyn Store, count: u32, more: u32) -> Result<JobId> {
        if self.end - self.next < u64::from(count) {
            // A larger block replaces the ids that are left: ids given out later must not be
            // smaller.
            let wanted = count.saturating_add(more).saturating_add(Self::AHEAD);
            let first = match store.reserve_ids(wanted).await {
                Err(Error::IdsExhausted(_)) => store.reserve_ids(count).await.map(|id| (id, count)),
                other => other.map(|id| (id, wanted)),
            };
            let (first, got) = first?;
            *self = Self { next: first.get(), end: first.get() + u64::from(got) };
        }
        let first = JobId::new(self.next).ok_or(Error::IdsExhausted(count))?;
        self.next += u64::from(count);
        Ok(first)
    }
}
