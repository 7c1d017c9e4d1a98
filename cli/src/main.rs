//! The `jobtracker` command: what can be asked of it, and which file does it.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod descriptors;
mod export_import;
mod queue;
mod schedule;
mod serve;
mod service;
mod store;
mod terminal;
mod token;
mod worker;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use jobtracker_server::{Config, Overrides, StoreKind, Telemetry};
use rustix::fs::Mode;
use store::StoreName;

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
    /// Run the service until SIGINT or SIGTERM; SIGHUP reads the token, the certificate and the log
    /// filter again
    Serve(serve::Serve),
    /// Read the configuration as `serve` would, and say what is wrong with it
    CheckConfig(CheckConfig),
    /// Make the tables of a cluster, or bring them to the newest version
    Migrate(Migrate),
    /// Write trees of a store into a file
    Export(export_import::ExportArguments),
    /// Put the trees of a file into a store
    Import(export_import::ImportArguments),
    /// Make, list and revoke the tokens of a running service
    Token(token::TokenArguments),
    /// Define, list, fire and watch the schedules of a running service
    Schedule(schedule::ScheduleArguments),
    /// Count and list the tasks that wait for workers, or that workers have
    Queue(queue::QueueArguments),
    /// Run tasks of a service until SIGINT or SIGTERM
    Worker(worker::WorkerArguments),
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
        Command::Token(arguments) => token::token(arguments),
        Command::Schedule(arguments) => schedule::schedule(arguments),
        Command::Queue(arguments) => queue::queue(arguments),
        Command::Worker(arguments) => worker::worker(arguments),
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
    store::runtime(config.store.kind)?.block_on(store::migrate(&config.store))
}
