//! `jobtracker schedule`: schedules of a running service, over HTTP. A part of the command line,
//! like `main.rs`.

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use jobtracker_client::{
    CancelledTree, Error, JobTrackerClient, ListPage, Payload, ProblemCode, Timestamp,
    schedule::{
        Firing, FiringOutcome, NewSchedule, NextFires, Schedule, ScheduleDefinition,
        TriggerSchedule,
    },
};

use crate::{service::ServiceArguments, terminal};

#[derive(Args)]
pub struct ScheduleArguments {
    #[command(subcommand)]
    command: ScheduleCommand,
    #[command(flatten)]
    service: ServiceArguments,
}

#[derive(Subcommand)]
enum ScheduleCommand {
    /// List the schedules
    List,
    /// Print a schedule as JSON
    Show {
        /// Its name
        name: String,
    },
    /// Create a schedule, or replace the definition of the one with that name
    Put {
        /// Its name
        name: String,
        /// A file with the definition as JSON; `-`: the standard input
        #[arg(value_name = "FILE")]
        definition: PathBuf,
        /// Replace only this version
        #[arg(long)]
        version: Option<u64>,
    },
    /// Print when a definition would fire, and store nothing
    Preview {
        /// A file with the definition as JSON; `-`: the standard input
        #[arg(value_name = "FILE")]
        definition: PathBuf,
        /// How many times
        #[arg(short = 'n', default_value_t = 10)]
        count: u32,
    },
    /// Delete a schedule; its open runs go on
    Delete {
        /// Its name
        name: String,
        /// Delete only this version
        #[arg(long)]
        version: Option<u64>,
    },
    /// Have the triggers of a schedule plan firings, from now on
    Enable {
        /// Its name
        name: String,
    },
    /// Have the triggers of a schedule plan nothing any more
    Disable {
        /// Its name
        name: String,
    },
    /// Fire a schedule, and print the id of the run's root
    Trigger {
        /// Its name
        name: String,
        /// Parameters of the run, as JSON
        #[arg(long)]
        params: Option<String>,
        /// How many milliseconds to wait
        #[arg(long, value_name = "MS")]
        delay: Option<u64>,
        /// A key by which a repetition is known
        #[arg(long)]
        key: Option<String>,
    },
    /// Cancel the open runs of a schedule, with all that is open below them
    Cancel {
        /// Its name
        name: String,
    },
    /// Print the next planned times
    Next {
        /// Its name
        name: String,
        /// How many times
        #[arg(short = 'n', default_value_t = 10)]
        count: u32,
    },
    /// Print the last firings, the newest first
    Firings {
        /// Its name
        name: String,
    },
}

pub fn schedule(arguments: ScheduleArguments) -> anyhow::Result<()> {
    let ScheduleArguments { command, service } = arguments;
    let client = service.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&client, command))
}

async fn run(client: &JobTrackerClient, command: ScheduleCommand) -> anyhow::Result<()> {
    match command {
        ScheduleCommand::List => list(client).await,
        ScheduleCommand::Show { name } => {
            let schedule = client.schedule(&name).await?;
            terminal::print(serde_json::to_string_pretty(&schedule)?)
        }
        ScheduleCommand::Put { name, definition, version } => {
            put(client, name, &read(&definition)?, version).await
        }
        ScheduleCommand::Preview { definition, count } => {
            let definition = read(&definition)?;
            let request = NextFires { definition, after: None, count: Some(count) };
            times(&client.preview_schedule(&request).await?)
        }
        ScheduleCommand::Delete { name, version } => {
            client.delete_schedule(&name, version).await?;
            terminal::tell(format_args!("deleted {name}"));
            Ok(())
        }
        ScheduleCommand::Enable { name } => tell(&client.enable_schedule(&name, true).await?),
        ScheduleCommand::Disable { name } => tell(&client.enable_schedule(&name, false).await?),
        ScheduleCommand::Trigger { name, params, delay, key } => {
            let params = params.as_deref().map(Payload::parse).transpose();
            let params = params.context("--params is not JSON")?;
            let request = TriggerSchedule { params, delay_ms: delay, idempotency_key: key };
            match client.trigger_schedule(&name, &request).await?.run {
                Some(run) => terminal::print(run.get()),
                None => anyhow::bail!("the firing was skipped: as many runs are open as may be"),
            }
        }
        ScheduleCommand::Cancel { name } => cancel(client, &name).await,
        ScheduleCommand::Next { name, count } => times(&client.next_fires(&name, count).await?),
        ScheduleCommand::Firings { name } => firings(&client.firings(&name).await?),
    }
}

fn read(file: &PathBuf) -> anyhow::Result<ScheduleDefinition> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the standard input")?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is no definition", file.display()))
}

async fn put(
    client: &JobTrackerClient,
    name: String,
    definition: &ScheduleDefinition,
    version: Option<u64>,
) -> anyhow::Result<()> {
    let replaced = client.replace_schedule(&name, definition, version).await;
    let is_new =
        |error: &Error| version.is_none() && error.code() == Some(ProblemCode::ScheduleNotFound);
    match replaced {
        Err(error) if is_new(&error) => {
            tell(&client.create_schedule(&NewSchedule::new(name, definition.clone())).await?)
        }
        replaced => tell(&replaced?),
    }
}

async fn cancel(client: &JobTrackerClient, name: &str) -> anyhow::Result<()> {
    for run in client.schedule(name).await?.running {
        let CancelledTree { ended, stopping, more } = client.cancel_tree(run).await?;
        let rest = if more { "; cancel the others when these have" } else { "" };
        terminal::tell(format_args!("run {run}: {ended} jobs ended, {stopping} are to stop{rest}"));
    }
    Ok(())
}

fn tell(schedule: &Schedule) -> anyhow::Result<()> {
    let Schedule { name, version, enabled, next, .. } = schedule;
    let state = if *enabled { "enabled" } else { "disabled" };
    let next = shown(*next);
    terminal::tell(format_args!("{name}, version {version}, {state}, fires next: {next}"));
    Ok(())
}

fn shown(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

fn times(times: &[Timestamp]) -> anyhow::Result<()> {
    times.iter().try_for_each(terminal::print)
}

fn firings(firings: &[Firing]) -> anyhow::Result<()> {
    for firing in firings {
        let Firing { planned, count, outcome, state, .. } = firing;
        let what = match outcome {
            FiringOutcome::Started { run } => format!("started {run}"),
            FiringOutcome::Queued { run } => format!("queued {run}"),
            FiringOutcome::Skipped { reason } => format!("skipped ({reason:?})"),
            FiringOutcome::Misfired { policy } => format!("misfired ({policy:?}, {count} times)"),
        };
        let end = state.map_or_else(String::new, |state| state.to_string());
        terminal::print(format_args!("{planned} {what:40} {end}"))?;
    }
    Ok(())
}

async fn list(client: &JobTrackerClient) -> anyhow::Result<()> {
    let mut page = ListPage::default();
    terminal::print(format_args!(
        "{:24} {:8} {:24} {:>8} {:>8} {:>8} last run",
        "name", "", "next", "runs", "failed", "skipped"
    ))?;
    loop {
        let schedules = client.schedules(page.clone()).await?;
        for schedule in &schedules.items {
            let Schedule { name, enabled, next, statistics, .. } = schedule;
            let state = if *enabled { "enabled" } else { "disabled" };
            let (next, last) = (shown(*next), shown(statistics.last_start));
            let (runs, failed) = (statistics.runs, statistics.failed);
            let skipped = statistics.skipped + statistics.misfired;
            terminal::print(format_args!(
                "{name:24} {state:8} {next:24} {runs:>8} {failed:>8} {skipped:>8} {last}"
            ))?;
        }
        page.cursor = schedules.next_cursor;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}
