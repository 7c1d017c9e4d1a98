use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The engine's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub operations: Counter,
    pub refused: Counter,
    pub recomputed: Counter,
    pub lost_deliveries: Counter,
    pub waiting: Gauge,
    pub group_operations: Histogram,
    pub commit_seconds: Histogram,
}

/// How much an engine has done since it was started, and has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Operations that were answered after a commit.
    pub operations: u64,
    /// Operations that were refused because the queue was full.
    pub refused: u64,
    /// Operations that have been taken and not answered.
    pub waiting: u64,
    /// Commits of trees that have ended: as long as it is the same, this engine has changed none.
    pub commits: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let doubling =
            |first: f64, count: u16| (0..count).map(move |n| first * 2f64.powi(n.into()));
        Self {
            operations: Counter::default(),
            refused: Counter::default(),
            recomputed: Counter::default(),
            lost_deliveries: Counter::default(),
            waiting: Gauge::default(),
            group_operations: Histogram::new(doubling(1.0, 12)),
            commit_seconds: Histogram::new(doubling(0.000_05, 16)),
        }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("jobtracker_engine");
        let name = "operations";
        registry.register(name, "Operations answered after a commit", self.operations.clone());
        let help = "Operations refused because the queue was full";
        registry.register("overloaded", help, self.refused.clone());
        let help = "Operations computed again because their tree had moved";
        registry.register("recomputed", help, self.recomputed.clone());
        let help = "Deliveries that were not made because their job had as many as it may have";
        registry.register("lost_deliveries", help, self.lost_deliveries.clone());
        let help = "Operations that have been taken and not answered";
        registry.register("queue_operations", help, self.waiting.clone());
        let help = "Operations in one group commit";
        registry.register("group_operations", help, self.group_operations.clone());
        let help = "Time of one commit in the store, of a group or of one tree";
        let seconds = self.commit_seconds.clone();
        registry.register_with_unit("commit", help, Unit::Seconds, seconds);
    }
}
