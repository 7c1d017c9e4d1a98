//! Keyspaces for tests, which need a real cluster.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use scylla::client::session::Session;
use tokio::sync::OnceCell;

use super::{
    ScyllaOptions, connect::connect, index, keys::listing, migrate::migrate, roots, schema::TABLES,
};
use crate::IndexId;

/// Names the nodes of the cluster that tests may use, as `host:port` with commas between.
pub const NODES: &str = "JOBTRACKER_TEST_CQL";

/// Keyspaces of this process that are free. Making one takes seconds, emptying one less.
static FREE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Whether the keyspaces that other processes left have been removed.
static CLEANED: OnceCell<()> = OnceCell::const_new();
/// The begin of all names; the process and a number follow.
const PREFIX: &str = "jobtracker_test_";

/// A keyspace with empty tables, for one test at a time.
#[derive(Debug)]
pub struct Lent {
    /// How it is opened.
    pub options: ScyllaOptions,
}

impl Lent {
    /// A keyspace for one test alone.
    ///
    /// # Panics
    /// There is no cluster for tests, or it does not do what it is asked.
    pub async fn new() -> Self {
        let nodes = std::env::var(NODES).unwrap_or_else(|_| {
            panic!("these tests need a cluster: run `dev/test`, or set {NODES} to its nodes")
        });
        CLEANED.get_or_init(|| clean(&nodes)).await;
        let free = FREE.lock().pop_first();
        let is_new = free.is_none();
        let name = || {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            format!("{PREFIX}{}_{number}", std::process::id())
        };
        let options = ScyllaOptions {
            nodes: nodes.split(',').map(str::to_owned).collect(),
            keyspace: free.unwrap_or_else(name),
            replication_factor: 1,
            removal_pause: Duration::from_millis(100),
            ..ScyllaOptions::default()
        };
        if is_new {
            migrate(&options).await.expect("the cluster takes new tables");
        } else {
            empty(&options).await;
        }
        Self { options }
    }
}

/// How long a busy node may take to remove a keyspace.
const SLOW: Duration = Duration::from_secs(60);

/// Removes the keyspaces of processes that have ended: a small node has no room for many.
async fn clean(nodes: &str) {
    let nodes = nodes.split(',').map(str::to_owned).collect();
    let options = ScyllaOptions { nodes, request_timeout: SLOW, ..ScyllaOptions::default() };
    let session = connect(&options).await.expect("the cluster is there");
    let cql = "SELECT keyspace_name FROM system_schema.keyspaces";
    let answer = session.query_unpaged(cql, ()).await.expect("it tells its keyspaces");
    let rows = answer.into_rows_result().expect("they are rows");
    for row in rows.rows::<(String,)>().expect("they are names") {
        let (name,) = row.expect("each is a name");
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next());
        if process.is_some_and(|process| !std::path::Path::new("/proc").join(process).exists()) {
            let cql = format!("DROP KEYSPACE IF EXISTS {name}");
            session.query_unpaged(cql, ()).await.expect("it can be removed");
        }
    }
}

async fn empty(options: &ScyllaOptions) {
    let options = ScyllaOptions { request_timeout: SLOW, ..options.clone() };
    let session = connect(&options).await.expect("the cluster is there");
    for table in TABLES.iter().filter(|table| **table != "register") {
        let cql = format!("TRUNCATE {}.{table}", options.keyspace);
        session.query_unpaged(cql, ()).await.expect("a table can be emptied");
    }
    let cql = format!("DELETE FROM {}.register WHERE name = 'ids' IF EXISTS", options.keyspace);
    session.query_unpaged(cql, ()).await.expect("a register can be removed");
}

/// Makes everything in the lists by time look as if it had been written this many minutes earlier.
///
/// # Panics
/// The cluster does not do what it is asked.
pub async fn age_places(session: &Session, minutes: i64) {
    let lists = IndexId::ALL.map(listing::Index::of);
    let lists = lists.map(|listing::Index { entries, minutes, late }| [entries, minutes, late]);
    for list in lists.concat() {
        let cql = "SELECT slot, place, key, body FROM listing WHERE list = ? ALLOW FILTERING";
        let answer = session.query_unpaged(cql, (list,)).await.expect("lists can be read");
        let rows = answer.into_rows_result().expect("they are rows");
        let rows = rows.rows::<(i64, i64, String, Option<Vec<u8>>)>().expect("of these columns");
        for row in rows {
            let (slot, place, key, body) = row.expect("each has them");
            let cql = "DELETE FROM listing WHERE list = ? AND slot = ? AND place = ? AND key = ?";
            let old = (list, slot, place, key.as_str());
            session.query_unpaged(cql, old).await.expect("a row can be removed");
            let (slot, key, body) = index::aged(slot, key, body, minutes);
            let cql = "INSERT INTO listing (list, slot, place, key, body) VALUES (?, ?, ?, ?, ?)";
            let new = (list, slot, place, key, body);
            session.query_unpaged(cql, new).await.expect("a row can be written");
        }
    }
}

/// Makes every entry in the lists of roots look as if it had been written this many minutes
/// earlier.
///
/// # Panics
/// The cluster does not do what it is asked.
pub async fn age_roots(session: &Session, minutes: i64) {
    let cql = "SELECT slot, place, key, body FROM listing WHERE list = ? ALLOW FILTERING";
    let answer = session.query_unpaged(cql, (listing::ROOTS,)).await.expect("lists can be read");
    let rows = answer.into_rows_result().expect("they are rows");
    for row in rows.rows::<(i64, i64, String, Vec<u8>)>().expect("of these columns") {
        let (slot, place, key, body) = row.expect("each has them");
        let cql = "INSERT INTO listing (list, slot, place, key, body) VALUES (?, ?, ?, ?, ?)";
        let aged = (listing::ROOTS, slot, place, key, roots::aged(&body, minutes));
        session.query_unpaged(cql, aged).await.expect("a row can be written");
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        FREE.lock().insert(self.options.keyspace.clone());
    }
}
