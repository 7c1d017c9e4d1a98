use jobtracker_model::JobId;

use super::{View, load::subject};
use crate::{Error, JobRow, Result};

/// A job's ancestors, its parent first and the root last.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn list_ancestors<V: View>(view: &V, id: JobId) -> Result<Vec<JobRow>> {
    let mut ancestors = Vec::new();
    let mut parent = subject(view, id).await?.origin.parent;
    while let Some(above) = parent {
        let missing = || Error::Corrupt(format!("job {above} has children and is not there"));
        let job = view.job(above).await?.ok_or_else(missing)?;
        parent = job.parent;
        ancestors.push(job);
    }
    Ok(ancestors)
}
