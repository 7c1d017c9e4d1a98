use jobtracker_store::Tombstone;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The metrics of deletions.
#[derive(Debug, Default)]
pub(super) struct DeletionMetrics {
    trees: Family<Labels, Counter>,
    jobs: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    by: By,
}

/// Who asked for a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum By {
    Hand,
    Rule,
}

impl DeletionMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("jobtracker");
        registry.register("deleted_trees", "Trees deleted", self.trees.clone());
        registry.register("deleted_jobs", "Jobs of trees deleted", self.jobs.clone());
    }

    pub fn count(&self, by: By, deleted: &Tombstone) {
        self.trees.get_or_create(&Labels { by }).inc();
        self.jobs.get_or_create(&Labels { by }).inc_by(deleted.jobs);
    }
}
