//! The `jobtracker` command: reads the configuration, picks the store, runs the service.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod descriptors;
mod export_import;
mod serve;
mod terminal;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand, ValueEnum};
use jobtracker_server::{Config, Overrides, StoreConfig, StoreKind, Telemetry};
#[cfg(feature = "scylla")]
use jobtracker_server::{ScyllaConfig, TabletsChoice};
use jobtracker_store::{Store, memory::MemoryStore};
use rustix::fs::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps trees of jobs.
#[derive(Parser)]
#[command(name = "jobtracker", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until SIGINT or SIGTERM; SIGHUP reads the token and the log filter again
    Serve(serve::Serve),
    /// Read the configuration as `serve` would, and say what is wrong with it
    CheckConfig(CheckConfig),
    /// Make the tables of a cluster, or bring them to the newest version
    Migrate(Migrate),
    /// Write trees of a store into a file
    Export(export_import::ExportArguments),
    /// Put the trees of a file into a store
    Import(export_import::ImportArguments),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
struct CheckConfig {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Migrate {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store
    #[arg(long)]
    store: Option<StoreName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum StoreName {
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

/// Nodes of a cluster for whose connections descriptors are reserved.
const NODES: usize = 32;
/// The fewest and the most threads for the connections to a cluster.
const DRIVER_THREADS: (usize, usize) = (2, 8);

fn main() -> ExitCode {
    // Files of this process are readable only for its owner.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    descriptors::raise_limit();
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::serve(arguments),
        Command::CheckConfig(arguments) => check_config(arguments),
        Command::Migrate(arguments) => migrate(arguments),
        Command::Export(arguments) => export_import::export(arguments),
        Command::Import(arguments) => export_import::import(arguments),
        Command::Openapi => terminal::print(jobtracker_server::openapi_document().trim_end()),
    };
    terminal::end(done)
}

fn check_config(arguments: CheckConfig) -> anyhow::Result<()> {
    let CheckConfig { config } = arguments;
    let config = Config::load(config.as_deref(), Overrides::default())?;
    terminal::print(format_args!("{config:#?}"))
}

fn migrate(arguments: Migrate) -> anyhow::Result<()> {
    let Migrate { config, store } = arguments;
    let store = store.map(StoreKind::from);
    let config = Config::load(config.as_deref(), Overrides { store, ..Overrides::default() })?;
    let _telemetry = Telemetry::start(&config.log);
    anyhow::ensure!(
        config.store.kind == StoreKind::Scylla,
        "there is nothing to migrate: store.kind is not \"scylla\", and only a cluster has tables \
         that are made beforehand"
    );
    runtime(config.store.kind)?.block_on(migrate_scylla(&config.store))
}

/// Workers, engine and the embedded store have their own threads; with those, this runtime only
/// waits for the end. The connections to a cluster are tasks of the runtime in which they were
/// opened: a single thread for them would be a bottleneck of all requests.
fn runtime(kind: StoreKind) -> std::io::Result<tokio::runtime::Runtime> {
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

/// The only function that knows the backends.
async fn open(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
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
        cached_files: descriptors::cached_files(defaults.cached_files),
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
fn store_descriptors(config: &StoreConfig) -> usize {
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
async fn migrate_scylla(config: &StoreConfig) -> anyhow::Result<()> {
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
async fn migrate_scylla(_: &StoreConfig) -> anyhow::Result<()> {
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
