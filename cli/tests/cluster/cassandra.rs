//! The database nodes that the tests run on, which `dev/test` starts.

use std::{path::PathBuf, process::Command};

use jobtracker_client::JobId;
use tokio::sync::{Mutex, MutexGuard};

use crate::process::Settings;

/// The nodes are taken by one test at a time.
static TAKEN: Mutex<()> = Mutex::const_new(());

pub struct Nodes {
    pub addresses: Vec<String>,
    _taken: MutexGuard<'static, ()>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Nodes {
    /// All nodes, of any number.
    pub async fn take() -> Self {
        let addresses = variable("JOBTRACKER_TEST_CQL_NODES").or(variable("JOBTRACKER_TEST_CQL"));
        let addresses =
            addresses.expect("no nodes: run the tests with dev/test, which starts some");
        let addresses = addresses.split(',').map(|address| address.trim().to_owned()).collect();
        Self { addresses, _taken: TAKEN.lock().await }
    }

    /// Three nodes that may be killed.
    pub async fn take_three() -> Self {
        let nodes = Self::take().await;
        assert_eq!(nodes.addresses.len(), 3, "three nodes are needed: use dev/test faults");
        nodes
    }

    /// The settings of a server that keeps its data here, in a keyspace.
    pub fn settings(&self, keyspace: &str) -> Settings {
        vec![
            ("store.kind", "scylla".to_owned()),
            ("store.scylla.nodes", self.addresses.join(",")),
            ("store.scylla.keyspace", keyspace.to_owned()),
            ("store.scylla.replication_factor", self.addresses.len().to_string()),
            ("log.filter", "warn,scylla=error".to_owned()),
        ]
    }

    /// Ends a node, from 1, as a crash does.
    pub fn kill(&self, node: usize) {
        run("kill", node);
    }

    /// Starts a node again with its data, and waits until all see each other.
    pub fn start(&self, node: usize) {
        run("start", node);
    }

    /// Suspends a node.
    pub fn pause(&self, node: usize) {
        run("pause", node);
    }

    pub fn resume(&self, node: usize) {
        run("resume", node);
    }
}

fn run(command: &str, node: usize) {
    let script = variable("JOBTRACKER_TEST_CASSANDRA");
    let script = script.expect("nothing to kill nodes with: run the tests with dev/test faults");
    let status = Command::new(PathBuf::from(script)).args([command, &node.to_string()]).status();
    assert!(status.unwrap().success(), "{command} {node}");
}

/// A root that no earlier run has used, with room for a thousand million ids of jobs behind it.
pub fn fresh_root() -> JobId {
    let block = rand::random_range(1..4_000_000_000_u64);
    JobId::new(block * 1_000_000_000).unwrap()
}

/// The factor by which a run is longer than usual: `JOBTRACKER_LONG`.
pub fn times() -> usize {
    variable("JOBTRACKER_LONG").map_or(1, |rounds| rounds.parse().unwrap())
}

/// The seed of a run, printed so that it can be repeated: `JOBTRACKER_SEED`.
pub fn seed() -> u64 {
    let seed = variable("JOBTRACKER_SEED").map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("JOBTRACKER_SEED={seed}");
    seed
}
