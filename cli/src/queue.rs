//! `jobtracker queue`: the queue of tasks of a running service, over HTTP. A part of the command
//! line, like `main.rs`.

use clap::{Args, Subcommand};
use jobtracker_client::{
    HandlerQueue, JobTrackerClient, ListPage, QueueLength, QueueQuery, QueueState, QueuedTask,
};

use crate::{service::ServiceArguments, terminal};

#[derive(Args)]
pub struct QueueArguments {
    #[command(subcommand)]
    command: QueueCommand,
    #[command(flatten)]
    service: ServiceArguments,
}

#[derive(Subcommand)]
enum QueueCommand {
    /// Count the tasks, by handler
    Count,
    /// List the tasks: those that workers have, then those that wait, the oldest first
    List {
        /// Only those that are leased, ready or delayed
        #[arg(long, value_name = "STATE", value_delimiter = ',')]
        state: Vec<QueueState>,
        /// Only those for this handler
        #[arg(long, value_name = "SERVICE/NAME")]
        handler: Option<String>,
        /// Only those that the worker with this id has, or that are kept for it
        #[arg(long, value_name = "ID")]
        worker: Option<String>,
        /// At most this many
        #[arg(short = 'n', default_value_t = 100)]
        count: u32,
    },
}

pub fn queue(arguments: QueueArguments) -> anyhow::Result<()> {
    let QueueArguments { command, service } = arguments;
    let client = service.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            QueueCommand::Count => count(&client).await,
            QueueCommand::List { state, handler, worker, count } => {
                list(&client, QueueQuery { states: state, handler, worker }, count).await
            }
        }
    })
}

async fn count(client: &JobTrackerClient) -> anyhow::Result<()> {
    let counts = client.count_queue().await?;
    let line = |name: &str, length: &QueueLength| {
        let QueueLength { leased, ready, delayed, oldest } = length;
        let oldest = oldest.map_or_else(|| "-".to_owned(), |oldest| oldest.to_string());
        terminal::print(format_args!("{name:40} {leased:>8} {ready:>8} {delayed:>8} {oldest}"))
    };
    let (leased, ready, delayed) = (QueueState::Leased, QueueState::Ready, QueueState::Delayed);
    terminal::print(format_args!(
        "{:40} {leased:>8} {ready:>8} {delayed:>8} oldest ready",
        "handler"
    ))?;
    for HandlerQueue { handler, length } in &counts.handlers {
        line(handler, length)?;
    }
    line("all", &counts.all)?;
    if counts.more {
        terminal::tell(
            "there may be more: 10,000 that workers have and 10,000 others were counted",
        );
    }
    Ok(())
}

async fn list(client: &JobTrackerClient, query: QueueQuery, mut left: u32) -> anyhow::Result<()> {
    let mut page = ListPage::default();
    loop {
        page.limit = Some(left.clamp(1, 1_000));
        let tasks = client.queue(&query, page.clone()).await?;
        for QueuedTask { job, name, handler, state, since, worker, assigned_to, .. } in tasks.items
        {
            let worker = worker.or(assigned_to).unwrap_or_default();
            terminal::print(format_args!(
                "{job:>8} {state:8} {since} {handler:40} {worker} {name}"
            ))?;
            left -= 1;
        }
        page.cursor = tasks.next_cursor;
        if page.cursor.is_none() || left == 0 {
            return Ok(());
        }
    }
}
