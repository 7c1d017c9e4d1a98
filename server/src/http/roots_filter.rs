use actix_web::web;
use jobtracker_model::ProblemCode;
use jobtracker_store::JobRow;

use super::problem::{ApiError, Result};
use crate::expression::{Expression, Invalid, RootFilter};

/// Compiles an expression off the worker, so that other requests do not wait.
pub(super) async fn compile(source: String) -> Result<Expression> {
    elsewhere(move || Expression::compile(&source)).await
}

/// The selected rows, in their order.
pub(super) async fn wanted(filter: &RootFilter, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>> {
    rows.retain(|row| filter.wants_plainly(row));
    let Some(expression) = filter.expression.clone().filter(|_| !rows.is_empty()) else {
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

/// Does something with an expression off the worker.
pub(super) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Invalid> + Send + 'static,
) -> Result<T> {
    let done = web::block(work).await.map_err(|error| ApiError::internal(&error))?;
    done.map_err(|invalid| {
        ApiError::new(ProblemCode::InvalidExpression, format!("The expression: {invalid}."))
    })
}
