use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    ConfigError, Secret,
    error::{bad, within},
};

/// Longest name of a keyspace that the cluster takes.
const KEYSPACE_MAX: usize = 48;

/// Section `store.scylla`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScyllaConfig {
    /// Some nodes of the cluster, as `host:port`; the driver finds the others through them.
    pub nodes: Vec<String>,
    /// The keyspace.
    pub keyspace: String,
    /// The data centre that requests go to.
    pub datacenter: String,
    /// Copies of each row in that data centre, for a keyspace that this service creates.
    pub replication_factor: u32,
    /// The user; empty: none.
    pub user: String,
    /// The password; empty: none. After loading it also holds the content of `password_file`.
    pub password: Secret,
    /// A file with the password; empty: none.
    pub password_file: PathBuf,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Certificates of the authorities that are trusted to identify the nodes.
    pub tls_ca_file: PathBuf,
    /// The certificate of this client; empty: none.
    pub tls_cert_file: PathBuf,
    /// The key of that certificate.
    pub tls_key_file: PathBuf,
    /// Whether a start creates the keyspace and the tables, or migrates them to the newest version.
    pub migrate: bool,
    /// Whether the keyspace is created with tablets.
    pub tablets: TabletsChoice,
    /// How long the cluster has to answer one request.
    pub request_timeout_ms: u64,
    /// How long a node has to accept a connection.
    pub connect_timeout_ms: u64,
    /// How long the outcome of a commit is asked for while it is unknown.
    pub resolve_timeout_ms: u64,
    /// Connections to each node.
    pub connections_per_node: usize,
    /// Conditional writes under way at once.
    pub commits_in_flight: usize,
    /// Plain writes and reads under way at once.
    pub writes_in_flight: usize,
    /// By how much the clocks of the cluster and of this machine may differ.
    pub max_clock_skew_ms: u64,
    /// Memory for the tree cache.
    pub tree_cache_bytes: u64,
}

/// Whether a keyspace is created with tablets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TabletsChoice {
    /// With tablets if the cluster's tablets support all features that are needed.
    Auto,
    /// With them.
    On,
    /// Without them.
    Off,
}

impl ScyllaConfig {
    /// How long the cluster has to answer one request.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a node has to accept a connection.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// How long the outcome of a commit is asked for while it is unknown.
    #[must_use]
    pub fn resolve_timeout(&self) -> Duration {
        Duration::from_millis(self.resolve_timeout_ms)
    }

    /// By how much the clocks of the cluster and of this machine may differ.
    #[must_use]
    pub fn max_clock_skew(&self) -> Duration {
        Duration::from_millis(self.max_clock_skew_ms)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_cluster()?;
        self.check_login()?;
        self.check_tls()?;
        for (key, millis) in [
            ("store.scylla.request_timeout_ms", self.request_timeout_ms),
            ("store.scylla.connect_timeout_ms", self.connect_timeout_ms),
            ("store.scylla.resolve_timeout_ms", self.resolve_timeout_ms),
            ("store.scylla.max_clock_skew_ms", self.max_clock_skew_ms),
        ] {
            within(key, millis, 100, 600_000)?;
        }
        within("store.scylla.connections_per_node", self.connections_per_node, 1, 64)?;
        within("store.scylla.commits_in_flight", self.commits_in_flight, 1, 10_000)?;
        within("store.scylla.writes_in_flight", self.writes_in_flight, 1, 10_000)?;
        within("store.scylla.tree_cache_bytes", self.tree_cache_bytes, 1 << 20, 1 << 40)
    }

    fn check_cluster(&self) -> Result<(), ConfigError> {
        if self.nodes.is_empty() {
            return Err(bad("store.scylla.nodes", "is empty; name a node or more".into()));
        }
        if let Some(node) = self.nodes.iter().find(|node| !is_node(node)) {
            let reason =
                format!("has {node:?}; a node is named as host:port, such as 10.0.0.1:9042");
            return Err(bad("store.scylla.nodes", reason));
        }
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let first = self.keyspace.starts_with(|char: char| char.is_ascii_lowercase());
        if !first || !self.keyspace.bytes().all(sound) || self.keyspace.len() > KEYSPACE_MAX {
            let reason = format!(
                "is {:?}; it must be 1 to {KEYSPACE_MAX} of a-z, 0-9 and _, a letter first",
                self.keyspace
            );
            return Err(bad("store.scylla.keyspace", reason));
        }
        let visible = |char: char| char.is_ascii_graphic() && char != '\'';
        if self.datacenter.is_empty() || !self.datacenter.chars().all(visible) {
            let reason = format!(
                "is {:?}; it must be the name of a data centre as the cluster has it (nodetool \
                 status prints it)",
                self.datacenter
            );
            return Err(bad("store.scylla.datacenter", reason));
        }
        within("store.scylla.replication_factor", self.replication_factor, 1, 16)
    }

    fn check_login(&self) -> Result<(), ConfigError> {
        match (self.user.is_empty(), self.password.is_empty()) {
            (true, false) => Err(bad("store.scylla.password", "is set and no user is".into())),
            (false, true) => {
                let reason = "is set; set store.scylla.password or password_file too".into();
                Err(bad("store.scylla.user", reason))
            }
            _ => Ok(()),
        }
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        let files = [
            ("store.scylla.tls_ca_file", &self.tls_ca_file),
            ("store.scylla.tls_cert_file", &self.tls_cert_file),
            ("store.scylla.tls_key_file", &self.tls_key_file),
        ];
        let named = |file: &PathBuf| !file.as_os_str().is_empty();
        if !self.tls {
            // Named certificates without TLS are an error.
            let first = files.iter().find(|(_, file)| named(file));
            let refused = |(key, _): &(&'static str, _)| {
                Err(bad(key, "is set and store.scylla.tls is not true".into()))
            };
            return first.map_or(Ok(()), refused);
        }
        if !named(&self.tls_ca_file) {
            let reason = "is not set; without it no node can be trusted (store.scylla.tls = true)";
            return Err(bad("store.scylla.tls_ca_file", reason.into()));
        }
        if named(&self.tls_cert_file) != named(&self.tls_key_file) {
            let reason = "and store.scylla.tls_key_file go together; set both or none".into();
            return Err(bad("store.scylla.tls_cert_file", reason));
        }
        let missing = files.iter().find(|(_, file)| named(file) && !file.is_file());
        missing.map_or(Ok(()), |(key, file)| {
            Err(bad(key, format!("names {}, which is not a file", file.display())))
        })
    }
}

/// Whether the text is a host and a port, without other parts of an address.
fn is_node(node: &str) -> bool {
    let Some((host, port)) = node.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |char: char| char.is_ascii_alphanumeric() || "-._".contains(char);
            !host.is_empty() && host.chars().all(allowed)
        }
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}
