//! One check that is due.

use jobtracker_engine::Error;
use jobtracker_model::{CheckKind, JobId, Timestamp};
use jobtracker_store::CheckRow;

use super::parts::Parts;
use crate::{clock, expression::Expression};

/// Makes a check that was due at that time.
pub(super) async fn make(parts: &Parts, id: JobId, number: u32, row: &CheckRow, due: Timestamp) {
    let _under_way = parts.metrics.enter();
    parts.metrics.began("check", due, clock::now());
    match try_to(parts, id, number, row, due).await {
        Ok(true) => parts.metrics.checked(),
        // The check has been made before, or was cancelled.
        Ok(false) => {}
        Err(error) => tracing::warn!(job = %id, number, %error, "a check is not made now"),
    }
}

async fn try_to(
    parts: &Parts,
    id: JobId,
    number: u32,
    row: &CheckRow,
    due: Timestamp,
) -> Result<bool, Error> {
    let holds = match &row.check.kind {
        CheckKind::Subtree { expression, .. } => Some(holds(parts, id, expression.clone()).await?),
        CheckKind::State { .. } | CheckKind::Silence { .. } => None,
    };
    parts.engine.make_check(id, number, due, holds, parts.uptime.outages()).await
}

/// Whether an expression is true for a job. An invalid expression is not.
async fn holds(parts: &Parts, id: JobId, source: String) -> Result<bool, Error> {
    let job = parts.store.get_job(id).await?.ok_or(Error::JobNotFound(id))?;
    let work = move || Expression::compile(&source)?.matches(&job);
    // An error here is a panic of the work.
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
