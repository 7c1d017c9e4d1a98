//! Stores in keyspaces of their own.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jobtracker_model::JobId;
use jobtracker_store::{
    Store,
    scylla::{ScyllaOptions, ScyllaStore, testing::Lent},
};
use jobtracker_store_suite::Fixture;

use crate::{leftovers, space};

/// A store that is open, and the keyspace of its trees.
type Open = (Arc<dyn Store>, Lent);

/// Opens each store in a keyspace of its own.
pub struct Keyspaces {
    tune: fn(&mut ScyllaOptions),
    of: Mutex<HashMap<usize, Open>>,
}

impl Keyspaces {
    pub fn new(tune: fn(&mut ScyllaOptions)) -> Self {
        Self { tune, of: Mutex::default() }
    }

    async fn open_in(&self, lent: Lent) -> Arc<dyn Store> {
        let mut options = lent.options.clone();
        (self.tune)(&mut options);
        let store: Arc<dyn Store> = Arc::new(ScyllaStore::open(&options).await.unwrap());
        let mut of = self.of.lock().unwrap();
        // A keyspace may be lent again when the test has let its store go.
        of.retain(|_, (store, _)| Arc::strong_count(store) > 1);
        of.insert(address(&store), (Arc::clone(&store), lent));
        store
    }

    async fn close(&self, store: Arc<dyn Store>) -> Lent {
        let (_, lent) = self.of.lock().unwrap().remove(&address(&store)).unwrap();
        store.close().await;
        lent
    }
}

fn address(store: &Arc<dyn Store>) -> usize {
    Arc::as_ptr(store).cast::<()>().addr()
}

#[async_trait]
impl Fixture for Keyspaces {
    const DURABLE: bool = true;
    const BULK: u64 = 3_000;
    const ROUNDS: u64 = 1;

    async fn open(&self) -> Arc<dyn Store> {
        let lent = Lent::new().await;
        self.open_in(lent).await
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let lent = self.close(store).await;
        self.open_in(lent).await
    }

    async fn reopen_and_count(
        &self,
        store: Arc<dyn Store>,
        of: &BTreeSet<JobId>,
    ) -> (Arc<dyn Store>, usize) {
        let lent = self.close(store).await;
        let rows = leftovers::rows_of(&space::session(&lent.options).await, of).await;
        (self.open_in(lent).await, rows)
    }
}
