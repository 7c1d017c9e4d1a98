use std::time::Instant;

use jobtracker_flow::{Flow, FlowBuilder, Step};

use crate::{
    graph::{Graph, Shape},
    table,
};

pub fn flow(graph: Graph) -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("graph");
    let first = flow.step("0").run(|_, ()| async { Ok(1_u64) });
    let (mut last, mut middle) = (first, Vec::<Step<u64>>::new());
    for index in 1..graph.steps {
        let is_end = graph.shape == Shape::Diamond && index + 1 == graph.steps;
        let name = index.to_string();
        if is_end {
            let all = std::mem::take(&mut middle);
            flow.step(name).after(all).run(|_, ()| async { Ok(1_u64) });
            continue;
        }
        let need = if graph.shape == Shape::Chain { last } else { first };
        last = flow.step(name).needs(need).run(|_, value| async move { Ok(*value + 1) });
        if graph.shape == Shape::Diamond {
            middle.push(last);
        }
    }
    flow.build().unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

pub async fn run(flow: &Flow<()>) {
    let ended = flow.start(()).wait().await;
    assert!(ended.is_ok());
}

/// What it takes to define a step, in small and large flows.
pub fn definition(rounds: usize) {
    for steps in [10, 1_000, 10_000, 100_000] {
        let times = (100_000 / steps).clamp(1, 1_000);
        let mut nanos = Vec::new();
        for _ in 0..rounds.min(15) {
            let begin = Instant::now();
            for _ in 0..times {
                assert_eq!(
                    flow(Graph { shape: Shape::Chain, steps }).steps().len(),
                    steps as usize
                );
            }
            nanos.push(begin.elapsed().as_nanos() as f64 / f64::from(steps * times));
        }
        let what = format!("definition of a chain of {steps}");
        table::line(&what, &format!("{:.0} ns per step", table::median(nanos)), "<= 1,000 ns");
    }
}
