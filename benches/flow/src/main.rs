//! Measures flows with empty bodies against tasks without a graph, and beside other crates, on the
//! same graphs in the same run. Every number is a median of rounds, in which all take turns.
//!
//! `cargo run --release -p jobtracker-flow-benches`; with `--url`, what recording costs too.

mod graph;
mod memory;
mod others;
mod ours;
mod recording;
mod table;
mod task;

use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use tokio::runtime::Runtime;

use crate::{
    graph::{Graph, Shape},
    task::on_threads,
};

#[derive(Parser)]
struct Arguments {
    /// Rounds; the median of them is shown.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    /// A service that flows are recorded in; without it, that is left out.
    #[arg(long)]
    url: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = Runtime::new()?;
    table::head();
    for shape in [Shape::Chain, Shape::FanOut, Shape::Diamond] {
        for steps in [10, 1_000, 10_000] {
            measure(&runtime, Graph { shape, steps }, arguments.rounds);
        }
    }
    ours::definition(arguments.rounds);
    memory::run(&runtime);
    if let Some(url) = &arguments.url {
        runtime.block_on(recording::run(url, arguments.rounds))?;
    }
    Ok(())
}

fn measure(runtime: &Runtime, graph: Graph, rounds: usize) {
    let flow = ours::flow(graph);
    // Small graphs several times, so that the clock is fine enough.
    let times = (20_000 / graph.steps).clamp(1, 200);
    let mut seen = table::Row::default();
    for _ in 0..rounds {
        let floor = on_threads(runtime, async move {
            let begin = Instant::now();
            for _ in 0..times {
                graph::floor(graph).await;
            }
            begin.elapsed() / times
        });
        let flow = flow.clone();
        let own = on_threads(runtime, async move {
            let begin = Instant::now();
            for _ in 0..times {
                ours::run(&flow).await;
            }
            begin.elapsed() / times
        });
        seen.push(floor, own);
        // They are built for each run, and what is measured is the run.
        seen.push_dagx(others::dagx(runtime, graph));
        if graph.steps <= 1_000 {
            seen.push_async_dag(others::async_dag(runtime, graph));
        }
    }
    seen.print(graph);
}
