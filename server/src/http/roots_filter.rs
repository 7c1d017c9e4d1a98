use std::sync::Arc;

use actix_web::web;
use jobtracker_model::{ProblemCode, StateSet};
use jobtracker_store::JobRow;

use super::problem::{ApiError, Result};
use crate::expression::{Expression, Invalid};

/// The filters of roots.
#[derive(Debug)]
pub(super) struct Filter {
    /// Empty: any.
    pub name_prefix: String,
    pub created_by: Option<String>,
    /// All of them.
    pub tags: Vec<String>,
    /// Empty: any.
    pub states: StateSet,
    pub expression: Option<Arc<Expression>>,
}

/// Compiles an expression off the worker, so that other requests do not wait.
pub(super) async fn compile(source: String) -> Result<Expression> {
    elsewhere(move || Expression::compile(&source)).await
}

impl Filter {
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

    /// The selected rows, in their order.
    pub async fn wanted(&self, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>> {
        rows.retain(|row| self.wants_plainly(row));
        let Some(expression) = self.expression.clone().filter(|_| !rows.is_empty()) else {
            return Ok(rows);
        };
        elsewhere(move || {
            let mut wanted = Vec::new();
            for row in rows {
                if expression.matches(&row)? {
                    wanted.push(row);
                }
            }
            Ok(wanted)
        })
        .await
    }

    fn wants_plainly(&self, row: &JobRow) -> bool {
        let definition = &row.definition;
        definition.name.starts_with(&self.name_prefix)
            && self.created_by.as_ref().is_none_or(|name| *name == definition.created_by)
            && self.tags.iter().all(|tag| definition.tags.contains(tag))
            && (self.states.is_empty() || self.states.contains(row.status.state))
    }
}

async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Invalid> + Send + 'static,
) -> Result<T> {
    let done = web::block(work).await.map_err(|error| ApiError::internal(&error))?;
    done.map_err(|invalid| {
        ApiError::new(ProblemCode::InvalidExpression, format!("The expression: {invalid}."))
    })
}
