use jobtracker_model::JobId;

use super::{
    View,
    load::{job_of, must_be_there, subject},
};
use crate::{JobRow, Result};

/// A job's ancestors, its parent first and the root last.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub fn list_ancestors(view: &dyn View, id: JobId) -> Result<Vec<JobRow>> {
    let mut ancestors = Vec::new();
    let mut parent = subject(view, id)?.origin.parent;
    while let Some(above) = parent {
        let node = must_be_there(view, above)?;
        parent = node.origin.parent;
        ancestors.push(job_of(view, above, node)?);
    }
    Ok(ancestors)
}
