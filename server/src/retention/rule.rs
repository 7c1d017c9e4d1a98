use std::sync::Arc;

use jobtracker_model::{Category, PreviewedTree, RetentionRule, Timestamp};
use jobtracker_store::JobRow;

use crate::expression::{Expression, Invalid, RootFilter};

/// A retention rule, ready to be asked about roots.
#[derive(Debug)]
pub(crate) struct Rule {
    rule: RetentionRule,
    filter: RootFilter,
}

impl Rule {
    /// Compiles the expression: this belongs on a thread that may block.
    pub fn compile(rule: RetentionRule) -> Result<Self, Invalid> {
        let source = rule.expression.as_deref().filter(|source| !source.is_empty());
        let filter = RootFilter {
            name_prefix: rule.name_prefix.clone().unwrap_or_default(),
            created_by: rule.created_by.clone(),
            tags: rule.tags.clone(),
            states: rule.states.iter().copied().collect(),
            expression: source.map(Expression::compile).transpose()?.map(Arc::new),
        };
        Ok(Self { rule, filter })
    }

    /// Whether the tree of a root is to be deleted at this time: never while a job of it is not
    /// finished.
    pub fn means(&self, root: &JobRow, now: Timestamp) -> Result<bool, Invalid> {
        Ok(self.is_due(root, now) && self.filter.wants(root)?)
    }

    fn is_due(&self, root: &JobRow, now: Timestamp) -> bool {
        let status = &root.status;
        let is_finished =
            status.category() != Some(Category::Pending) && status.subtree.pending() == 0;
        let due = |finished| self.rule.due(root.definition.keep_days, finished);
        is_finished && status.tree_end.is_some_and(|end| due(end.time) <= now)
    }
}

/// What a preview shows of a tree that a rule means.
pub(crate) fn previewed(root: &JobRow) -> PreviewedTree {
    PreviewedTree {
        root: root.id,
        name: root.definition.name.clone(),
        create_time: root.status.create_time,
        end_time: root.status.tree_end.map_or(root.status.create_time, |end| end.time),
        jobs: root.status.subtree.total + 1,
    }
}
