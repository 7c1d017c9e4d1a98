use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jobtracker_model::JobId;
use jobtracker_store::Store;

/// How the suite opens the stores of a backend.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Whether commits are still there after a store was closed and opened again. If not,
    /// [`reopen`](Self::reopen) gives back the store that it was given.
    const DURABLE: bool;

    /// Children of one job where a phase needs many; fewer for a backend that takes long to read
    /// each of them. At least 3,000.
    const BULK: u64 = 24_000;

    /// Rounds of random work; fewer for a backend that takes long for each. At least 1.
    const ROUNDS: u64 = 3;

    /// A fresh store with nothing in it. Several may be open at a time.
    async fn open(&self) -> Arc<dyn Store>;

    /// Closes a store that [`open`](Self::open) or this gave, and opens the same data again. The
    /// suite holds no other handle to it then. The store may have been closed before.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;

    /// The same, and how many rows of these jobs there were while it was closed: found without the
    /// store, hidden ones included, and without those that only say that an id was used.
    async fn reopen_and_count(
        &self,
        store: Arc<dyn Store>,
        of: &BTreeSet<JobId>,
    ) -> (Arc<dyn Store>, usize);
}
