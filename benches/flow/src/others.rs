//! Other crates on the same graphs.

use std::time::{Duration, Instant};

use dagx::{DagRunner, Task, task};
use tokio::runtime::Runtime;

use crate::{
    graph::{Graph, Shape},
    task::on_threads,
};

struct First;

#[task]
impl First {
    async fn run(&self) -> u64 {
        1
    }
}

struct Next;

#[task]
impl Next {
    async fn run(value: &u64) -> u64 {
        value + 1
    }
}

/// Nothing for a diamond: it joins eight tasks at most.
pub fn dagx(runtime: &Runtime, graph: Graph) -> Option<Duration> {
    let dag = DagRunner::new();
    let first: dagx::TaskHandle<u64> = dag.add_task(First).into();
    match graph.shape {
        Shape::Chain => {
            let mut last = first;
            for _ in 1..graph.steps {
                last = dag.add_task(Next).depends_on(last);
            }
        }
        Shape::FanOut => {
            for _ in 1..graph.steps {
                dag.add_task(Next).depends_on(first);
            }
        }
        Shape::Diamond => return None,
    }
    Some(on_threads(runtime, async move {
        let begin = Instant::now();
        let ran = dag.run(|work| {
            tokio::spawn(work);
        });
        assert!(ran.await.is_ok());
        begin.elapsed()
    }))
}

/// It polls all bodies in the task that runs it, which is not one that other threads may have.
/// Nothing for a diamond: it joins only as many tasks as a function has arguments.
pub fn async_dag(runtime: &Runtime, graph: Graph) -> Option<Duration> {
    if graph.shape == Shape::Diamond {
        return None;
    }
    let mut dag = async_dag::Graph::new();
    let first = dag.add_task(|| async { 1_u64 });
    let mut last = first;
    for _ in 1..graph.steps {
        let parent = if graph.shape == Shape::Chain { last } else { first };
        let added = dag.add_child_task(parent, |value: u64| async move { value + 1 }, 0);
        last = added.ok()?;
    }
    let begin = Instant::now();
    runtime.block_on(dag.run());
    Some(begin.elapsed())
}
