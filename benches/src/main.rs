//! Measures the service against floors that are measured in the same run, and prints a table.
//!
//! `benches/run` builds and starts it. Every rate is the median of several rounds; in each round
//! the floors and the shapes take turns, so that a machine that is busy for a while is busy for
//! both. The embedded store answers a write after fdatasync, a cluster when a quorum has it.

mod cluster;
mod floors;
mod flush;
mod follow_ups;
mod forwarder;
mod growth;
mod load;
mod nodes;
mod process;
mod raw;
mod rounds;
mod schedules;
mod shapes;
mod slot;
mod table;
mod tasks;
mod views;

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand};
use rounds::Shape;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Rounds; the median of them is shown. 0 leaves them out.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds for each shape in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Jobs in the growth, memory and restart measurement; 0 leaves it out.
    #[arg(long, default_value_t = 5_000_000)]
    growth: u64,
    /// Jobs in the large flush of the buffered context; 0 leaves the context out.
    #[arg(long, default_value_t = 1_000_000)]
    flush: u64,
    /// Deliveries that are sent from one commit, up to 50,000; 0 leaves actions and checks out.
    #[arg(long, default_value_t = 30_000)]
    follow_ups: u64,
    /// Rounds of live views and of pages of large lists; 0 leaves them out.
    #[arg(long, default_value_t = 5)]
    views: usize,
    /// Children of one parent, of which pages are read; 0 leaves them out.
    #[arg(long, default_value_t = 1_000_000)]
    children: u64,
    /// Roots, of which the first page is read; 0 leaves it out.
    #[arg(long, default_value_t = 100_000)]
    roots: u64,
    /// Tasks of each round of tasks; 0 leaves tasks out.
    #[arg(long, default_value_t = 30_000)]
    tasks: u64,
    /// Tasks that go through one queue; 0 leaves that out.
    #[arg(long, default_value_t = 1_000_000)]
    queue: u64,
    /// Requests of workers that wait at once; 0 leaves them out.
    #[arg(long, default_value_t = 10_000)]
    polls: usize,
    /// Schedules that wait; 0 leaves schedules out.
    #[arg(long, default_value_t = 100_000)]
    schedules: u64,
    #[command(flatten)]
    cluster: cluster::Options,
    /// Only this shape, once, against a service that is up at this address; for profiles.
    #[arg(long, requires = "at")]
    only: Option<Shape>,
    /// Where that service listens.
    #[arg(long)]
    at: Option<SocketAddr>,
    /// The first id that it uses there.
    #[arg(long, default_value_t = 1)]
    first_id: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the echo floor (started by the benchmarks themselves).
    Echo,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Echo) = arguments.command {
        return actix_web::rt::System::new().block_on(floors::serve_echo());
    }
    let seconds = Duration::from_secs_f64(arguments.seconds);
    if let (Some(shape), Some(at)) = (arguments.only, arguments.at) {
        return match shape {
            Shape::SmallFlush => flush::run_one(0, at, seconds),
            Shape::LargeFlush => flush::run_one(arguments.flush, at, seconds),
            _ => rounds::run_one(shape, at, arguments.first_id, seconds),
        };
    }
    if let Some(place) = arguments.cluster.place() {
        return cluster::run(&arguments.cluster, &place, arguments.rounds, seconds);
    }
    if arguments.rounds > 0 {
        rounds::run(arguments.rounds, seconds)?;
    }
    if arguments.flush > 0 {
        flush::run(arguments.rounds.max(1), arguments.flush)?;
    }
    if arguments.follow_ups > 0 {
        follow_ups::run(arguments.rounds.max(1), arguments.follow_ups, seconds)?;
    }
    if arguments.views > 0 {
        let sizes = views::Sizes { children: arguments.children, roots: arguments.roots };
        views::run(arguments.views, sizes, seconds)?;
    }
    if arguments.tasks > 0 {
        let Arguments { tasks, queue, polls, .. } = arguments;
        tasks::run(arguments.rounds.max(1), tasks::Sizes { tasks, queue, polls })?;
    }
    if arguments.schedules > 0 {
        schedules::run(arguments.rounds.max(1), arguments.schedules)?;
    }
    if arguments.growth > 0 {
        growth::run(arguments.growth, seconds)?;
    }
    Ok(())
}
