//! One check whose time has come.

use jobtracker_engine::Error;
use jobtracker_model::{CheckKind, JobId, Timestamp};
use jobtracker_store::CheckRow;

use super::rounds::Parts;
use crate::expression::Expression;

/// Makes a check that is due at that time.
pub(super) async fn make(
    parts: &Parts,
    id: JobId,
    number: u32,
    row: &CheckRow,
    due: Timestamp,
) -> Result<(), Error> {
    let holds = match &row.check.kind {
        CheckKind::Subtree { expression, .. } => Some(holds(parts, id, expression.clone()).await?),
        CheckKind::State { .. } | CheckKind::Silence { .. } => None,
    };
    if parts.engine.make_check(id, number, due, holds).await? {
        parts.metrics.checked();
    }
    Ok(())
}

/// Whether an expression is true of a job. One that cannot be understood is not.
async fn holds(parts: &Parts, id: JobId, source: String) -> Result<bool, Error> {
    let job = parts.store.get_job(id).await?.ok_or(Error::JobNotFound(id))?;
    let work = move || Expression::compile(&source)?.matches(&job);
    // Only what panics does not come back.
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(holds)) => Ok(holds),
        Ok(Err(invalid)) => {
            tracing::debug!(%id, %invalid, "the expression of a check says nothing");
            Ok(false)
        }
        Err(error) => {
            tracing::warn!(%id, %error, "the expression of a check was not looked at");
            Ok(false)
        }
    }
}
