use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{Event, JobId, KeptFailure, PathStep, State, limits};
use jobtracker_store::{BlockerRow, BlockersQuery, JobRow, PageLimit, Result, Store, Summary};

use crate::paths::paths_to;

/// Failures that are kept.
const FAILURES: usize = 10;

/// What is kept of a finished tree: its root as it is, and what failed in it first, of the first
/// thousand failures in the order of descendants.
pub(super) async fn summary(store: &dyn Store, root: JobRow) -> Result<Summary> {
    let mut failures = Vec::new();
    if root.status.state == State::Faulted {
        let limit = PageLimit::items(limits::PAGE);
        let query = BlockersQuery { of: root.id, after: None, limit };
        failures = store.list_blockers(query).await?.items;
        failures.sort_by_key(|failure| failure.last_change.time);
        failures.truncate(FAILURES);
    }
    let ids = failures.iter().map(|failure| failure.job.id).collect();
    let mut paths = paths_to(store, root.id, ids).await?;
    let failures = failures.into_iter().map(|failure| kept(failure, &mut paths)).collect();
    let JobRow { definition, status, .. } = root;
    Ok(Summary { definition: Arc::unwrap_or_clone(definition), status, failures })
}

fn kept(failure: BlockerRow, paths: &mut HashMap<JobId, Vec<PathStep>>) -> KeptFailure {
    let BlockerRow { job, last_change } = failure;
    KeptFailure {
        id: job.id,
        path: paths.remove(&job.id).unwrap_or_default(),
        name: job.definition.name.clone(),
        time: last_change.time,
        message: last_change.message.as_deref().map(Event::message),
        reason_code: last_change.reason_code,
    }
}
