//! A store whose requests and replies get lost, and what should be in the cluster nevertheless.

use std::sync::Arc;

use jobtracker_store::{
    Health, Result, TreeCommit, Trees,
    scylla::{ScyllaOptions, ScyllaStore},
};
use jobtracker_store_suite::{Forest, Staging};
use tokio::task::JoinHandle;

use crate::{
    proxy::Proxy,
    space::{Space, commit, compare, only, versions},
};

/// A store behind a proxy, one that sees the cluster as it is, and what should be there.
pub struct Faulty {
    pub proxy: Proxy,
    pub store: Arc<ScyllaStore>,
    pub other: Arc<ScyllaStore>,
    pub forest: Forest,
    pub space: Space,
}

impl Faulty {
    pub async fn new(tune: fn(&mut ScyllaOptions)) -> Self {
        let space = Space::new().await;
        let proxy = space.proxy().await;
        let store = space.behind(&proxy, tune).await;
        let other = space.open_with(tune).await;
        let mut faulty = Self { proxy, store, other, forest: Forest::default(), space };
        faulty.forest.root(1);
        let first = only(&mut faulty.forest);
        commit(&faulty.store, first).await.unwrap();
        faulty
    }

    /// A change that has not been made yet, and the forest after it.
    pub fn changed(&self, change: impl FnOnce(&mut Forest)) -> (TreeCommit, Forest) {
        let mut forest = self.forest.clone();
        change(&mut forest);
        (only(&mut forest), forest)
    }

    /// Begins a commit, which goes on by itself.
    pub fn begin(&self, due: TreeCommit) -> JoinHandle<Result<()>> {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move { commit(&store, due).await })
    }

    /// The trees are at the versions at which they should be.
    pub async fn same_versions(&self, what: impl std::fmt::Debug) {
        let due = self.forest.versions().collect();
        let roots = self.forest.versions().map(|(root, _)| root);
        assert_eq!(versions(&self.other, roots).await, due, "versions after {what:?}");
    }

    pub async fn finish(self) {
        compare(&[&self.store, &self.other], &self.forest).await;
        self.store.close().await;
        self.other.close().await;
    }
}

/// Does every call of a stage.
pub async fn stage_rows(store: &ScyllaStore, aside: &Staging) -> Result<()> {
    for rows in &aside.calls {
        store.stage(aside.id, aside.commit.root, rows.clone()).await?;
    }
    Ok(())
}
