//! One keyspace for several stores, some of them behind proxies.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_model::JobId;
use jobtracker_store::{
    Error, Result, Store, TreeCommit, Trees, Version, Wanted,
    scylla::{ScyllaOptions, ScyllaStore, testing::Lent},
};
use jobtracker_store_suite::{Forest, compare_trees};
use scylla::client::{session::Session, session_builder::SessionBuilder};
use tokio::time::sleep;

use crate::proxy::Proxy;

/// A statement that is in the conditional batch of every commit, and nowhere else.
pub const COMMIT: &str = "INSERT INTO tree (root, kind, id, cid, stamp, body, parts)";

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// A keyspace with the stores that a test opens.
pub struct Space {
    lent: Lent,
}

impl Space {
    pub async fn new() -> Self {
        Self { lent: Lent::new().await }
    }

    /// A store that sees the cluster as it is.
    pub async fn open(&self) -> Arc<ScyllaStore> {
        self.open_with(|_| {}).await
    }

    pub async fn open_with(&self, tune: impl FnOnce(&mut ScyllaOptions)) -> Arc<ScyllaStore> {
        let mut options = ScyllaOptions { migrate: false, ..self.lent.options.clone() };
        tune(&mut options);
        Arc::new(ScyllaStore::open(&options).await.unwrap())
    }

    /// A proxy in front of the only node.
    pub async fn proxy(&self) -> Proxy {
        assert_eq!(self.lent.options.nodes.len(), 1, "these tests are for a cluster of one node");
        Proxy::to(&self.lent.options.nodes[0]).await
    }

    /// A store that sees the cluster through a proxy, and does not wait long.
    pub async fn behind(
        &self,
        proxy: &Proxy,
        tune: impl FnOnce(&mut ScyllaOptions),
    ) -> Arc<ScyllaStore> {
        let quick = |options: &mut ScyllaOptions| {
            options.nodes = vec![proxy.address.clone()];
            options.connections_per_node = 1;
            options.request_timeout = Duration::from_secs(1);
            options.resolve_timeout = Duration::from_secs(6);
            tune(options);
        };
        self.open_with(quick).await
    }

    pub async fn session(&self) -> Session {
        session(&self.lent.options).await
    }

    /// Makes every server that has sent a heartbeat count as gone, without the wait.
    pub async fn forget_servers(&self, session: &Session) {
        let cql = "DELETE FROM listing WHERE list = 7 AND slot = 0";
        session.query_unpaged(cql, ()).await.unwrap();
    }
}

/// The tables themselves.
pub async fn session(options: &ScyllaOptions) -> Session {
    let ScyllaOptions { nodes, keyspace, .. } = options;
    SessionBuilder::new().known_nodes(nodes).use_keyspace(keyspace, true).build().await.unwrap()
}

/// Commits one tree.
pub async fn commit(store: &ScyllaStore, commit: TreeCommit) -> Result<()> {
    store.commit(vec![commit]).await.remove(0)
}

/// Commits one tree, against any reservations on its jobs. It loads and tries again, as every
/// caller does that is told of a stale tree.
pub async fn commit_soon(store: &ScyllaStore, due: TreeCommit) {
    /// On a busy machine what removes a stage may be held up for long.
    const PATIENCE: Duration = Duration::from_secs(30);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match commit(store, due.clone()).await {
            Ok(()) => return,
            Err(Error::Stale { .. }) => drop(versions(store, [due.root]).await),
            Err(error) => panic!("a commit that was due: {error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("tree {} stays stale", due.root);
}

/// The only commit that a forest has to make.
pub fn only(forest: &mut Forest) -> TreeCommit {
    let mut commits = forest.commits();
    assert_eq!(commits.len(), 1, "trees that were changed");
    commits.remove(0)
}

/// The versions of these trees; `None` for trees that do not exist.
pub async fn versions(
    store: &ScyllaStore,
    roots: impl IntoIterator<Item = JobId>,
) -> BTreeMap<JobId, Version> {
    let wanted = Wanted { paths: roots.into_iter().collect(), ..Wanted::default() };
    store.load(wanted).await.unwrap().versions.into_iter().collect()
}

/// Everything is as it should be on each store, the versions of the trees included.
pub async fn compare(stores: &[&Arc<ScyllaStore>], forest: &Forest) {
    for store in stores {
        compare_trees(Arc::clone(store) as Arc<dyn Store>, forest).await;
    }
}

/// Appends lines that cannot be packed to much less than three quarters of their size.
pub fn append_noise(forest: &mut Forest, id: JobId, lines: usize, bytes: usize) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = id.get() | 1 << 40;
    let mut letter = || {
        // Marsaglia's xorshift, with the shifts 13, 7 and 17.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    };
    let texts: Vec<String> = (0..lines).map(|_| (0..bytes).map(|_| letter()).collect()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    forest.append(id, &texts);
}
