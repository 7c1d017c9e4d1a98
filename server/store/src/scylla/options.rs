use std::{path::PathBuf, time::Duration};

/// Where the cluster is, and what the store may use of it. Every field has a default.
#[derive(Clone)]
pub struct ScyllaOptions {
    /// Some nodes of the cluster, as `host:port`; the others are found through them.
    pub nodes: Vec<String>,
    /// The keyspace; the store's alone.
    pub keyspace: String,
    /// The data centre in which requests are answered and conditions decided. Servers that write
    /// one keyspace have to name the same one.
    pub datacenter: String,
    /// Copies of each row in that data centre, when the keyspace is created here.
    pub replication_factor: u32,
    /// Whether the keyspace is created with tablets.
    pub tablets: Tablets,
    /// The user; empty: the connection is anonymous.
    pub user: String,
    /// The password of that user.
    pub password: String,
    /// How connections are encrypted; none: they are not.
    pub tls: Option<Tls>,
    /// Whether the keyspace and the tables are created, or brought to the newest version, when the
    /// store is opened.
    pub migrate: bool,
    /// How long the cluster has to answer one request.
    pub request_timeout: Duration,
    /// How long a node has to accept a connection.
    pub connect_timeout: Duration,
    /// How long the store asks what became of a commit before the caller hears that it is unknown.
    pub resolve_timeout: Duration,
    /// Connections to each node.
    pub connections_per_node: usize,
    /// Conditional writes that may be under way at once; more wait.
    pub commits_in_flight: usize,
    /// Plain writes and reads that may be under way at once; more wait.
    pub writes_in_flight: usize,
    /// The store is not opened when the cluster's clock and this one disagree by more.
    pub max_clock_skew: Duration,
    /// Memory for the logs of trees and their jobs, about; the locations of jobs take half as much
    /// again.
    pub tree_cache_bytes: u64,
    /// Versions in the tail of a tree's log at which a checkpoint is made of its older half.
    pub tail_versions: u64,
    /// Bytes in the tail of a tree's log, before they are packed, at which a checkpoint is made.
    pub tail_bytes: usize,
    /// How long the rows of a deleted tree stay at least: longer than any read that began before
    /// the deletion.
    pub removal_pause: Duration,
}

/// Whether a keyspace is created with tablets, which ScyllaDB knows and Cassandra does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tablets {
    /// With them where conditional writes work with them (ScyllaDB 2025.4 and later), else without.
    #[default]
    Auto,
    /// With them.
    On,
    /// Without them.
    Off,
}

/// How connections are encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates of the authorities that vouch for the nodes, in PEM.
    pub ca_file: PathBuf,
    /// The certificate that this side shows, and its key, in PEM; none: it shows none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for ScyllaOptions {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".into()],
            keyspace: "jobtracker".into(),
            datacenter: "datacenter1".into(),
            replication_factor: 3,
            tablets: Tablets::Auto,
            user: String::new(),
            password: String::new(),
            tls: None,
            migrate: true,
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            resolve_timeout: Duration::from_secs(10),
            connections_per_node: 4,
            commits_in_flight: 128,
            writes_in_flight: 256,
            max_clock_skew: Duration::from_secs(5),
            tree_cache_bytes: 128 * 1024 * 1024,
            tail_versions: 128,
            tail_bytes: 512 * 1024,
            removal_pause: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for ScyllaOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScyllaOptions")
            .field("nodes", &self.nodes)
            .field("keyspace", &self.keyspace)
            .field("datacenter", &self.datacenter)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
