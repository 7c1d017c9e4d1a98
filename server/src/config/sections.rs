use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{CallbacksConfig, Listen, ProxyConfig, ScyllaConfig, Secret, SmtpConfig};

/// All settings. `config.default.toml` describes each key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The socket and its limits.
    pub server: ServerConfig,
    /// Authentication.
    pub auth: AuthConfig,
    /// The bounds of access.
    pub access: AccessConfig,
    /// A proxy in front of the service.
    pub proxy: ProxyConfig,
    /// The store of the trees.
    pub store: StoreConfig,
    /// The bounds of the engine.
    pub engine: EngineConfig,
    /// The bounds of uploads of buffered contexts.
    pub commits: UploadsConfig,
    /// The configurable rules for jobs.
    pub jobs: JobsConfig,
    /// The deletion of old trees.
    pub retention: RetentionConfig,
    /// The export of trees while the service runs.
    pub export: ExportConfig,
    /// The workers that run tasks.
    pub workers: WorkersConfig,
    /// The bounds of live views.
    pub live: LiveConfig,
    /// Deliveries to receivers.
    pub callbacks: CallbacksConfig,
    /// The server for e-mails.
    pub smtp: SmtpConfig,
    /// The service's log.
    pub log: LogConfig,
}

impl Config {
    /// The sections in which this differs from `running`, except the settings that a running
    /// service can take over: changes in these sections need a restart.
    #[must_use]
    pub fn sections_for_restart(&self, running: &Self) -> Vec<&'static str> {
        let log = LogConfig { filter: running.log.filter.clone(), ..self.log.clone() };
        let differs = [
            ("server", self.server.with_certificate_of(&running.server) != running.server),
            ("access", self.access != running.access),
            ("proxy", self.proxy != running.proxy),
            ("store", self.store != running.store),
            ("engine", self.engine != running.engine),
            ("commits", self.commits != running.commits),
            ("jobs", self.jobs != running.jobs),
            ("retention", self.retention != running.retention),
            ("export", self.export != running.export),
            ("workers", self.workers != running.workers),
            ("live", self.live != running.live),
            ("callbacks", self.callbacks != running.callbacks),
            ("smtp", self.smtp != running.smtp),
            ("log", log != running.log),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// Section `server`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The address to listen on.
    pub listen: Listen,
    /// Whether an address that others can reach is served without a token.
    pub allow_open: bool,
    /// Host names that clients may use without a token, besides those of this machine.
    pub hosts: Vec<String>,
    /// The certificate of the service; empty: connections are not encrypted.
    pub tls_cert_file: PathBuf,
    /// The key of the certificate.
    pub tls_key_file: PathBuf,
    /// Threads that serve HTTP; 0: one per core.
    pub workers: usize,
    /// Open connections per worker.
    pub connections_per_worker: usize,
    /// Largest body of a request after decompression.
    pub body_limit_bytes: usize,
    /// How long the head of a request may take.
    pub head_timeout_ms: u64,
    /// How long the body of a request may take.
    pub body_timeout_ms: u64,
    /// How long an answer may wait for a client that reads nothing.
    pub send_timeout_ms: u64,
    /// How long a connection stays open without a request.
    pub keep_alive_ms: u64,
    /// How long requests in flight may take at a stop.
    pub shutdown_grace_ms: u64,
}

impl ServerConfig {
    /// How long the body of a request may take.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !self.tls_cert_file.as_os_str().is_empty()
    }

    /// The same, with the certificate of the running service if both have one: that can be replaced
    /// while it runs.
    fn with_certificate_of(&self, running: &Self) -> Self {
        let mut same = self.clone();
        if self.is_encrypted() && running.is_encrypted() {
            same.tls_cert_file.clone_from(&running.tls_cert_file);
            same.tls_key_file.clone_from(&running.tls_key_file);
        }
        same
    }
}

/// Section `auth`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The bearer token; empty: none is required. After loading it also holds the content of
    /// `token_file`.
    pub token: Secret,
    /// A file with the token; empty: none.
    pub token_file: PathBuf,
}

/// Section `access`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    /// Wrong tokens that an address may send in a minute.
    pub failed_tries: u32,
    /// How long entries of the audit list are kept.
    pub audit_days: u32,
}

/// Section `retention`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// The pause between two rounds through all roots.
    pub every_seconds: u32,
    /// How long it is known that a tree was deleted.
    pub tombstone_days: u32,
}

impl RetentionConfig {
    /// The pause between two rounds.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds.into())
    }

    /// How long it is known that a tree was deleted.
    #[must_use]
    pub fn tombstone_kept(&self) -> Duration {
        Duration::from_secs(u64::from(self.tombstone_days) * 86_400)
    }
}

/// Section `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportConfig {
    /// How much is read in a second at most, as lines before compression.
    pub bytes_per_second: u64,
}

/// Section `workers`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersConfig {
    /// After how long a silence the leases of a worker end.
    pub lease_ms: u64,
    /// How long a task is kept for the worker that its rule has chosen.
    pub assign_ttl_ms: u64,
}

/// A backend by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Embedded and durable.
    Fjall,
    /// In memory; not durable.
    Memory,
    /// A cluster of ScyllaDB or Apache Cassandra.
    Scylla,
}

impl StoreKind {
    /// The name, as the configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Memory => "memory",
            Self::Scylla => "scylla",
        }
    }
}

/// Section `store`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The backend.
    pub kind: StoreKind,
    /// The directory of the fjall store.
    pub data_dir: PathBuf,
    /// Memory for blocks of table files.
    pub block_cache_bytes: u64,
    /// Memory for jobs without their definitions.
    pub node_cache_bytes: u64,
    /// Memory for definitions.
    pub definition_cache_bytes: u64,
    /// The size at which a write buffer is written to disk.
    pub write_buffer_bytes: u64,
    /// Threads that read.
    pub readers: usize,
    /// Reads that may wait for a thread.
    pub read_queue: usize,
    /// Threads that write table files.
    pub workers: usize,
    /// Free space that the store does not use.
    pub min_free_bytes: u64,
    /// The cluster.
    pub scylla: ScyllaConfig,
}

/// Section `engine`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Operations that may wait.
    pub queue_operations: usize,
    /// Bytes of operations that may wait.
    pub queue_bytes: usize,
    /// Operations in one commit.
    pub group_operations: usize,
    /// Bytes of operations in one commit.
    pub group_bytes: usize,
    /// Commits under way at once, each of other trees; 0: the store's usual number.
    pub commits_at_once: usize,
}

/// Section `commits`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadsConfig {
    /// New jobs that one upload may have.
    pub limit_jobs: u64,
    /// Bytes that one upload may have, after decompression.
    pub limit_bytes: u64,
    /// Uploads that may come in at once.
    pub at_once: usize,
    /// How long an upload may pause while it comes in.
    pub silence_timeout_ms: u64,
    /// How long an upload may take to come in.
    pub receive_timeout_ms: u64,
    /// How long the outcome of an upload is kept.
    pub keep_hours: u32,
}

impl UploadsConfig {
    /// How long an upload may take to come in.
    #[must_use]
    pub fn receive_timeout(&self) -> Duration {
        Duration::from_millis(self.receive_timeout_ms)
    }

    /// How long an upload may pause while it comes in.
    #[must_use]
    pub fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms)
    }
}

/// Section `jobs`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Whether updates to finished jobs change nothing.
    pub block_updates_after_finish: bool,
}

/// Section `live`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveConfig {
    /// Clients that may be told of events and rows at once.
    pub connections: usize,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Levels, per module if desired.
    pub filter: String,
    /// The form.
    pub format: LogFormat,
}
