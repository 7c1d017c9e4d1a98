use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{Event, JobId, KeptFailure, PathStep, State};
use jobtracker_store::{
    BlockerRow, BlockersQuery, JobRow, Listed, PageLimit, Result, Store, Summary,
};

use crate::paths::paths_to;

/// Failures that are kept, and among how many they are the earliest.
const FAILURES: usize = 10;
const SEARCHED: usize = 1_000;

/// What is kept of a finished tree: its root as it is, and what failed in it first.
pub(super) async fn summary(store: &dyn Store, root: JobRow) -> Result<Summary> {
    let failures = match root.status.state {
        State::Faulted => first_failures(store, root.id).await?,
        _ => Vec::new(),
    };
    let ids = failures.iter().map(|failure| failure.job.id).collect();
    let mut paths = paths_to(store, root.id, ids).await?;
    let failures = failures.into_iter().map(|failure| kept(failure, &mut paths)).collect();
    let JobRow { definition, status, .. } = root;
    Ok(Summary { definition: Arc::unwrap_or_clone(definition), status, failures })
}

/// The earliest of the first failures in the order of descendants.
async fn first_failures(store: &dyn Store, of: JobId) -> Result<Vec<BlockerRow>> {
    let (mut first, mut searched, mut after) = (Vec::new(), 0, None);
    loop {
        // A page may end early, even without a failure, where rows are large or many.
        let limit = PageLimit::items(SEARCHED - searched);
        let Listed { items, next } =
            store.list_blockers(BlockersQuery { of, after, limit }).await?;
        searched += items.len();
        first.extend(items);
        first.sort_by_key(|failure: &BlockerRow| failure.last_change.time);
        first.truncate(FAILURES);
        after = next;
        if after.is_none() || searched >= SEARCHED {
            return Ok(first);
        }
    }
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

#[cfg(test)]
mod tests {
    use jobtracker_engine::{Engine, Options};
    use jobtracker_model::{NewChange, NewJob, limits};
    use jobtracker_store::memory::MemoryStore;

    use super::*;
    use crate::clock;

    /// The one that failed first stands behind the first page of all.
    #[tokio::test]
    async fn failures_are_searched_behind_the_first_page() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
        let root = engine.create(NewJob::new("root")).await.unwrap().id;
        let count = limits::PAGE_BYTES / limits::OPTIONS + 2;
        let mut jobs = Vec::new();
        for _ in 0..count {
            let job = NewJob::new("part").options("x".repeat(limits::OPTIONS)).under(root);
            jobs.push(engine.create(job).await.unwrap().id);
        }
        let last = *jobs.last().unwrap();
        let failed = NewChange::new(State::Faulted);
        engine.update(last, failed.clone().message("first")).await.unwrap();
        let begun = clock::now();
        while clock::now() == begun {
            tokio::task::yield_now().await;
        }
        for job in &jobs[..count - 1] {
            engine.update(*job, failed.clone()).await.unwrap();
        }
        engine.update(root, NewChange::new(State::RanToCompletion)).await.unwrap();
        let query = BlockersQuery { of: root, after: None, limit: PageLimit::items(SEARCHED) };
        assert!(store.list_blockers(query).await.unwrap().next.is_some(), "one page has them all");
        let row = store.get_job(root).await.unwrap().unwrap();
        let Summary { failures, .. } = summary(&*store, row).await.unwrap();
        assert_eq!((failures.len(), failures[0].id), (FAILURES, last));
        assert_eq!(failures[0].message.as_deref(), Some("first"));
    }
}
