use std::fs;

use jobtracker_flow::{FlowBuilder, RunOptions};
use tokio::runtime::Runtime;

use crate::table;

const STEPS: u32 = 1_000_000;
const PAGE: usize = 4096;

/// What a run takes for each of its steps besides outputs and futures: its first step waits, and
/// only one may be at work.
pub fn run(runtime: &Runtime) {
    let before = resident();
    let mut flow = FlowBuilder::<()>::new("large");
    let (go, gone) = tokio::sync::watch::channel(false);
    let first = flow.step("first").run(move |_, ()| {
        let mut gone = gone.clone();
        async move { Ok(gone.wait_for(|gone| *gone).await.is_ok()) }
    });
    for index in 1..STEPS {
        flow.step(index.to_string()).after(first).run(|_, ()| async { Ok(()) });
    }
    let flow = flow.build().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let built = resident();
    let run = runtime.block_on(async { flow.start_with((), RunOptions::new().max_concurrency(1)) });
    let started = resident();
    let per_step = |bytes: usize| format!("{:.0} bytes", bytes as f64 / f64::from(STEPS));
    table::line("a step of a flow", &per_step(built.saturating_sub(before)), "");
    table::line("a step of a run", &per_step(started.saturating_sub(built)), "<= 256 bytes");
    go.send_replace(true);
    assert!(runtime.block_on(run.wait()).is_ok());
}

fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default() * PAGE
}
