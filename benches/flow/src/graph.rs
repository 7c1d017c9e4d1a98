use std::fmt;

#[derive(Clone, Copy)]
pub struct Graph {
    pub shape: Shape,
    pub steps: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    /// Each step needs the one before.
    Chain,
    /// All steps but the first need the first.
    FanOut,
    /// A fan-out with a last step that comes after all others.
    Diamond,
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match self.shape {
            Shape::Chain => "chain",
            Shape::FanOut => "fan-out",
            Shape::Diamond => "diamond",
        };
        write!(f, "{shape} of {}", self.steps)
    }
}

/// As many tasks in the same order, with nothing that knows the graph.
pub async fn floor(graph: Graph) {
    let spawn = |value: u64| tokio::spawn(async move { value + 1 });
    let value = match graph.shape {
        Shape::Chain => {
            let mut value = 0;
            for _ in 0..graph.steps {
                value = spawn(value).await.unwrap_or_default();
            }
            value
        }
        Shape::FanOut | Shape::Diamond => {
            let first = spawn(0).await.unwrap_or_default();
            let ends = if graph.shape == Shape::Diamond { 2 } else { 1 };
            let tasks: Vec<_> = (ends..graph.steps).map(|_| spawn(first)).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap_or_default();
            }
            if ends == 2 { spawn(sum).await.unwrap_or_default() } else { sum }
        }
    };
    assert!(value > 0);
}
