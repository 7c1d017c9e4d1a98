//! The store that the configuration picks, and the runtime that it needs. Only here are backends
//! known.

use std::sync::Arc;

use clap::ValueEnum;
#[cfg(feature = "scylla")]
use jobtracker_server::{ScyllaConfig, TabletsChoice};
use jobtracker_server::{StoreConfig, StoreKind};
use jobtracker_store::{Store, memory::MemoryStore};

#[cfg(feature = "fjall")]
use crate::descriptors::cached_files;
#[cfg(feature = "scylla")]
use crate::terminal;

/// Nodes of a cluster for whose connections descriptors are reserved.
const NODES: usize = 32;
/// The fewest and the most threads for the connections to a cluster.
const DRIVER_THREADS: (usize, usize) = (2, 8);

#[derive(Clone, Copy, ValueEnum)]
pub enum StoreName {
    /// Embedded and durable
    Fjall,
    /// A cluster of ScyllaDB or Apache Cassandra, as [store.scylla] says
    Scylla,
    /// Keeps nothing when the process ends
    Memory,
}

impl From<StoreName> for StoreKind {
    fn from(name: StoreName) -> Self {
        match name {
            StoreName::Fjall => Self::Fjall,
            StoreName::Scylla => Self::Scylla,
            StoreName::Memory => Self::Memory,
        }
    }
}

/// Workers, engine and the embedded store have their own threads; with those, this runtime only
/// waits for the end. The connections to a cluster are tasks of the runtime in which they were
/// opened: a single thread for them would be a bottleneck of all requests.
pub fn runtime(kind: StoreKind) -> std::io::Result<tokio::runtime::Runtime> {
    if kind != StoreKind::Scylla {
        return tokio::runtime::Builder::new_current_thread().enable_all().build();
    }
    let (fewest, most) = DRIVER_THREADS;
    let cores = std::thread::available_parallelism().map_or(fewest, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(fewest, most))
        .thread_name("driver")
        .enable_all()
        .build()
}

/// Opens the store.
pub async fn open(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    match config.kind {
        StoreKind::Memory => Ok(Arc::new(MemoryStore::new())),
        #[cfg(feature = "fjall")]
        StoreKind::Fjall => open_fjall(config),
        #[cfg(not(feature = "fjall"))]
        StoreKind::Fjall => anyhow::bail!("this jobtracker was built without the fjall store"),
        StoreKind::Scylla => open_scylla(config).await,
    }
}

#[cfg(feature = "fjall")]
fn fjall_options(config: &StoreConfig) -> jobtracker_store::fjall::FjallOptions {
    use jobtracker_store::fjall::FjallOptions;

    let defaults = FjallOptions::new(&config.data_dir);
    FjallOptions {
        block_cache_bytes: config.block_cache_bytes,
        node_cache_bytes: config.node_cache_bytes,
        definition_cache_bytes: config.definition_cache_bytes,
        write_buffer_bytes: config.write_buffer_bytes,
        readers: config.readers,
        read_queue: config.read_queue,
        workers: config.workers,
        cached_files: cached_files(defaults.cached_files),
        min_free_bytes: config.min_free_bytes,
        ..defaults
    }
}

#[cfg(feature = "fjall")]
fn open_fjall(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    use jobtracker_store::fjall::FjallStore;

    Ok(Arc::new(FjallStore::open(&fjall_options(config))?))
}

/// How many descriptors the store may need.
pub fn descriptors(config: &StoreConfig) -> usize {
    match config.kind {
        StoreKind::Memory => 0,
        #[cfg(feature = "fjall")]
        StoreKind::Fjall => fjall_options(config).descriptors(),
        #[cfg(not(feature = "fjall"))]
        StoreKind::Fjall => 0,
        StoreKind::Scylla => NODES * config.scylla.connections_per_node,
    }
}

#[cfg(feature = "scylla")]
fn scylla_options(config: &ScyllaConfig) -> jobtracker_store::scylla::ScyllaOptions {
    use jobtracker_store::scylla::{ScyllaOptions, Tablets, Tls};

    let identity = (config.tls_cert_file.clone(), config.tls_key_file.clone());
    let identity = Some(identity).filter(|(certificate, _)| !certificate.as_os_str().is_empty());
    let ca_file = config.tls_ca_file.clone();
    ScyllaOptions {
        nodes: config.nodes.clone(),
        keyspace: config.keyspace.clone(),
        datacenter: config.datacenter.clone(),
        replication_factor: config.replication_factor,
        tablets: match config.tablets {
            TabletsChoice::Auto => Tablets::Auto,
            TabletsChoice::On => Tablets::On,
            TabletsChoice::Off => Tablets::Off,
        },
        user: config.user.clone(),
        password: config.password.expose().to_owned(),
        tls: config.tls.then_some(Tls { ca_file, identity }),
        migrate: config.migrate,
        request_timeout: config.request_timeout(),
        connect_timeout: config.connect_timeout(),
        resolve_timeout: config.resolve_timeout(),
        connections_per_node: config.connections_per_node,
        commits_in_flight: config.commits_in_flight,
        writes_in_flight: config.writes_in_flight,
        max_clock_skew: config.max_clock_skew(),
        tree_cache_bytes: config.tree_cache_bytes,
        ..ScyllaOptions::default()
    }
}

#[cfg(feature = "scylla")]
async fn open_scylla(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    use jobtracker_store::scylla::ScyllaStore;

    Ok(Arc::new(ScyllaStore::open(&scylla_options(&config.scylla)).await?))
}

#[cfg(feature = "scylla")]
pub async fn migrate(config: &StoreConfig) -> anyhow::Result<()> {
    let keyspace = &config.scylla.keyspace;
    let done = jobtracker_store::scylla::migrate(&scylla_options(&config.scylla)).await?;
    terminal::print(match (done.from, done.to) {
        (from, to) if from == to => format!("keyspace {keyspace} has version {to} already"),
        (0, to) => format!("keyspace {keyspace}: tables made, version {to}"),
        (from, to) => format!("keyspace {keyspace}: brought from version {from} to {to}"),
    })
}

#[cfg(not(feature = "scylla"))]
async fn open_scylla(_: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    anyhow::bail!("this jobtracker was built without the scylla store")
}

#[cfg(not(feature = "scylla"))]
pub async fn migrate(_: &StoreConfig) -> anyhow::Result<()> {
    anyhow::bail!("this jobtracker was built without the scylla store")
}

#[cfg(all(test, feature = "scylla"))]
mod tests {
    use jobtracker_server::Config;
    use jobtracker_store::scylla::ScyllaOptions;

    use super::scylla_options;

    #[test]
    fn the_defaults_are_those_of_the_store() {
        let ours = scylla_options(&Config::defaults().store.scylla);
        let theirs = ScyllaOptions::default();
        let names = |options: &ScyllaOptions| {
            let ScyllaOptions { nodes, keyspace, datacenter, user, password, .. } = options.clone();
            (nodes, [keyspace, datacenter, user, password], options.replication_factor)
        };
        assert_eq!(names(&ours), names(&theirs));
        let bounds = |options: &ScyllaOptions| {
            let ScyllaOptions { connections_per_node, commits_in_flight, .. } = *options;
            let flags = (options.tls.is_some(), options.migrate, options.tablets);
            let numbers = [connections_per_node, commits_in_flight, options.writes_in_flight];
            (flags, numbers, options.tree_cache_bytes)
        };
        assert_eq!(bounds(&ours), bounds(&theirs));
        let times = |options: &ScyllaOptions| {
            let answers = [options.request_timeout, options.connect_timeout];
            (answers, options.resolve_timeout, options.max_clock_skew)
        };
        assert_eq!(times(&ours), times(&theirs));
    }
}
