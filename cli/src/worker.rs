//! `jobtracker worker`: a process that runs tasks with the handlers that are ready to use. A part
//! of the command line, like `main.rs`.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use jobtracker_server::{Config, Overrides, Telemetry};
use jobtracker_worker::{
    Worker, WorkerBuilder,
    builtin::{Command, Http, sharding_demo},
    environment_labels, terminated,
};

use crate::service::ServiceArguments;

#[derive(Args)]
pub struct WorkerArguments {
    #[command(flatten)]
    service: ServiceArguments,
    /// What people call the worker, the same at each start
    #[arg(long, default_value = "worker")]
    name: String,
    /// The handlers that it offers
    #[arg(long, required = true, value_delimiter = ',', value_name = "HANDLER,…")]
    enable: Vec<Builtin>,
    /// What stands before the slash in the names of the handlers
    #[arg(long, value_name = "NAME", default_value = "jobtracker")]
    prefix: String,
    /// A program that the handler `command` may run, as tasks name it; may be repeated
    #[arg(long, value_name = "PROGRAM")]
    allow: Vec<String>,
    /// A receiver that the handler `http` may call: a network, an address, a name, or *.NAME; may
    /// be repeated. Without any it calls public addresses
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// How many tasks it runs at once
    #[arg(long, default_value_t = 4)]
    slots: u32,
    /// A tag by which tasks choose workers; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// A label by which tasks choose workers; may be repeated. POD_NAME, POD_NAMESPACE and
    /// NODE_NAME of the environment become the labels pod, namespace and node
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// A folder, for this process alone, in which reports are kept until the service has answered
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,
    /// How many seconds tasks may take to end after SIGTERM; the others are given back
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

/// A handler that is ready to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Builtin {
    /// Runs programs that --allow names
    Command,
    /// Sends requests to public addresses, or to what --allow-host names
    Http,
    /// Says in the log which shard it was given
    ShardingDemo,
}

fn label(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

pub fn worker(arguments: WorkerArguments) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.enable.contains(&Builtin::Command) != arguments.allow.is_empty(),
        "--enable command and --allow PROGRAM belong together: it runs only programs that are named"
    );
    anyhow::ensure!(
        arguments.enable.contains(&Builtin::Http) || arguments.allow_host.is_empty(),
        "--allow-host says what --enable http may call, which is not enabled"
    );
    let config = Config::load(None, Overrides::default())?;
    let telemetry = Telemetry::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(run(arguments));
    drop(telemetry);
    done
}

async fn run(arguments: WorkerArguments) -> anyhow::Result<()> {
    let WorkerArguments { service, name, enable, prefix, allow, allow_host, .. } = arguments;
    let mut worker = Worker::builder(service.client()?, name)
        .slots(arguments.slots)
        .drain(Duration::from_secs(arguments.grace));
    for builtin in enable {
        worker = builtin.add(worker, &prefix, (&allow, &allow_host))?;
    }
    for tag in arguments.tag {
        worker = worker.tag(tag);
    }
    for (key, value) in environment_labels().into_iter().chain(arguments.label) {
        worker = worker.label(key, value);
    }
    if let Some(folder) = arguments.spool {
        worker = worker.spool(folder);
    }
    Ok(worker.build()?.run(terminated()).await?)
}

impl Builtin {
    fn add(
        self,
        worker: WorkerBuilder,
        prefix: &str,
        (programs, hosts): (&[String], &[String]),
    ) -> anyhow::Result<WorkerBuilder> {
        Ok(match self {
            Self::Command => {
                let (name, handler) = (format!("{prefix}/command"), Command::new(programs));
                worker.handler(name, "runs a program on the worker's machine", handler)
            }
            Self::Http => {
                let handler = Http::new(hosts).context("--allow-host")?;
                worker.handler(format!("{prefix}/http"), "sends a request", handler)
            }
            Self::ShardingDemo => {
                let name = format!("{prefix}/sharding_demo");
                worker.handler(name, "says in the log which shard it was given", sharding_demo)
            }
        })
    }
}
