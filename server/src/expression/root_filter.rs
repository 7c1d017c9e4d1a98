use std::sync::Arc;

use jobtracker_model::StateSet;
use jobtracker_store::JobRow;

use super::{Expression, Invalid};

/// A choice among root jobs.
#[derive(Debug)]
pub(crate) struct RootFilter {
    /// Empty: any.
    pub name_prefix: String,
    pub created_by: Option<String>,
    /// All of them.
    pub tags: Vec<String>,
    /// Empty: any.
    pub states: StateSet,
    pub expression: Option<Arc<Expression>>,
}

impl RootFilter {
    /// Whether it selects every root.
    pub fn wants_all(&self) -> bool {
        let Self { name_prefix, created_by, tags, states, expression } = self;
        name_prefix.is_empty()
            && created_by.is_none()
            && tags.is_empty()
            && states.is_empty()
            && expression.is_none()
    }

    /// How many rows an answer may read, of `most`, if the expression may take `steps_max`
    /// operations.
    pub fn rows_max(&self, most: usize, steps_max: usize) -> usize {
        let steps = self.expression.as_ref().map_or(0, |expression| expression.steps());
        most.min(steps_max / steps.max(1))
    }

    /// Whether it selects a root.
    pub fn wants(&self, row: &JobRow) -> Result<bool, Invalid> {
        let matches = |expression: &Arc<Expression>| expression.matches(row);
        match &self.expression {
            Some(expression) if self.wants_plainly(row) => matches(expression),
            _ => Ok(self.wants_plainly(row)),
        }
    }

    /// Whether it selects a root, the expression aside.
    pub fn wants_plainly(&self, row: &JobRow) -> bool {
        let definition = &row.definition;
        definition.name.starts_with(&self.name_prefix)
            && self.created_by.as_ref().is_none_or(|name| *name == definition.created_by)
            && self.tags.iter().all(|tag| definition.tags.contains(tag))
            && (self.states.is_empty() || self.states.contains(row.status.state))
    }
}
