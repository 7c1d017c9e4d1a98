use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use jobtracker_client::JobTrackerClient;
use jobtracker_flow::{Flow, FlowBuilder, Recorder, RunOptions};

use crate::table;

const STEPS: u32 = 200;

/// Steps of a millisecond, ten at a time.
fn flow() -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("milliseconds");
    let mut last = Vec::new();
    for index in 0..STEPS / 10 {
        let step = |number: u32| {
            flow.step(format!("{index}.{number}")).after(last.clone()).run(|_, ()| async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(())
            })
        };
        last = (0..10).map(step).collect();
    }
    flow.build().unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

pub async fn run(url: &str, rounds: usize) -> Result<()> {
    let recorder = Arc::new(Recorder::new(Arc::new(JobTrackerClient::new(url)?)));
    let flow = flow();
    let (mut ratios, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut took = Vec::new();
        for options in [RunOptions::new(), RunOptions::new().observer(recorder.clone())] {
            let begin = Instant::now();
            flow.start_with((), options).wait().await?;
            took.push(begin.elapsed().as_secs_f64());
        }
        plain.push(took[0] * 1e3);
        ratios.push((took[1] / took[0] - 1.0) * 100.0);
        // What is written behind the run is not to be in the next one's way.
        recorder.flush().await?;
    }
    let what = format!("{STEPS} steps of 1 ms, ten at a time, take");
    table::line(&what, &format!("{:.1} ms", table::median(plain)), "");
    table::line("recording adds", &format!("{:.1} %", table::median(ratios)), "<= 5 %");
    let stats = recorder.stats();
    assert!(stats.recorded > 0 && stats.given_up == 0, "{stats:?}");
    Ok(())
}
