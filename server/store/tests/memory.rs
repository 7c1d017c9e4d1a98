//! The memory store passes the suite, and random work.

#![allow(clippy::unwrap_used, reason = "what a test builds on has to be there")]

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jobtracker_model::JobId;
use jobtracker_store::{Store, memory::MemoryStore};
use jobtracker_store_suite::{Fixture, random_work};
use proptest::prelude::*;

struct InMemory;

#[async_trait]
impl Fixture for InMemory {
    const DURABLE: bool = false;

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }

    /// It has nothing that it does not show.
    async fn reopen_and_count(
        &self,
        store: Arc<dyn Store>,
        of: &BTreeSet<JobId>,
    ) -> (Arc<dyn Store>, usize) {
        let mut rows = 0;
        for id in of {
            rows += usize::from(store.get_job(*id).await.unwrap().is_some());
        }
        (store, rows)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_passes_the_suite() {
    jobtracker_store_suite::run(&InMemory).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_work_is_what_it_should_be(choices in prop::collection::vec(any::<u32>(), 0..160)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(random_work(Arc::new(MemoryStore::new()), &choices));
    }
}
