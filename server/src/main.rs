//! The `jobtracker` command: reads the configuration, picks the store, runs the service.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jobtracker_server::{Config, Overrides, Server, StoreConfig, StoreKind};
use jobtracker_store::{Store, memory::MemoryStore};

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
    /// Run the service until SIGINT or SIGTERM
    Serve(Serve),
    /// Read the configuration as `serve` would, and say what is wrong with it
    CheckConfig(CheckConfig),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
struct Serve {
    /// A TOML file; the keys are those of server/config.default.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the fjall store
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// The store
    #[arg(long)]
    store: Option<StoreName>,
    /// Serve an address that others can reach without a token
    #[arg(long)]
    allow_open: bool,
}

#[derive(Args)]
struct CheckConfig {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum StoreName {
    /// Embedded and durable
    Fjall,
    /// Keeps nothing when the process ends
    Memory,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve(arguments),
        Command::CheckConfig(arguments) => check_config(arguments),
        Command::Openapi => {
            print!("{}", jobtracker_server::openapi_document());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jobtracker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(arguments: CheckConfig) -> anyhow::Result<()> {
    let config = Config::load(arguments.config, Overrides::default())?;
    println!("{config:#?}");
    Ok(())
}

fn serve(arguments: Serve) -> anyhow::Result<()> {
    let Serve { config, data_dir, listen, store, allow_open } = arguments;
    let store = store.map(|name| match name {
        StoreName::Fjall => StoreKind::Fjall,
        StoreName::Memory => StoreKind::Memory,
    });
    let config = Config::load(config, Overrides { listen, data_dir, store, allow_open })?;
    jobtracker_server::init_telemetry(&config.log);
    // Workers, engine and store have threads of their own; this one only waits for the end.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&config))
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let end = end_signal()?;
    let store = open(&config.store)?;
    let server = match Server::start(config, Arc::clone(&store)) {
        Ok(server) => server,
        Err(error) => {
            store.close().await;
            return Err(error.into());
        }
    };
    println!("jobtracker listens on http://{}", server.addr());
    end.await;
    server.stop().await;
    Ok(())
}

/// The only place that knows the backends.
fn open(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    match config.kind {
        StoreKind::Memory => Ok(Arc::new(MemoryStore::new())),
        #[cfg(feature = "fjall")]
        StoreKind::Fjall => open_fjall(config),
        #[cfg(not(feature = "fjall"))]
        StoreKind::Fjall => anyhow::bail!("this jobtracker was built without the fjall store"),
    }
}

#[cfg(feature = "fjall")]
fn open_fjall(config: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    use jobtracker_store::fjall::{FjallOptions, FjallStore};

    let options = FjallOptions {
        block_cache_bytes: config.block_cache_bytes,
        node_cache_bytes: config.node_cache_bytes,
        definition_cache_bytes: config.definition_cache_bytes,
        write_buffer_bytes: config.write_buffer_bytes,
        readers: config.readers,
        read_queue: config.read_queue,
        workers: config.workers,
        min_free_bytes: config.min_free_bytes,
        ..FjallOptions::new(&config.data_dir)
    };
    Ok(Arc::new(FjallStore::open(&options)?))
}

/// Ends at SIGINT or SIGTERM. Both are caught from this call on, so that neither is missed.
fn end_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
