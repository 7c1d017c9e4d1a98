//! What a run is told of the run that it follows.

use std::collections::BTreeMap;

use jobtracker_model::{FollowedRun, JobId, Payload, limits};
use jobtracker_store::{ChildrenQuery, FollowUp, FollowUpKey, JobRow, Store, TaskRow, Wanted};

use crate::{Result, record::After};

/// A run as it has ended; `None` if its tree was deleted.
pub(crate) async fn look(store: &dyn Store, after: &After) -> Result<Option<FollowedRun>> {
    let After { schedule, run } = after.clone();
    let Some(JobRow { status, .. }) = store.get_job(run).await? else { return Ok(None) };
    let result = match tasks(store, &[run]).await?.pop() {
        Some(task) => task.result,
        None => shards_result(store, run).await?,
    };
    Ok(Some(FollowedRun { schedule, run, state: status.state, result }))
}

/// What the shards of a run have answered, as one list; `None` if that is nothing, or too large.
async fn shards_result(store: &dyn Store, run: JobId) -> Result<Option<Payload>> {
    let (mut results, mut bytes, mut after) = (BTreeMap::new(), 0, None);
    loop {
        let query = ChildrenQuery { after, ..ChildrenQuery::of(run) };
        let page = store.list_children(query).await?;
        let ids: Vec<JobId> = page.items.iter().map(|child| child.id).collect();
        for TaskRow { task, result, .. } in tasks(store, &ids).await? {
            let Some(shard) = task.shard else { continue };
            bytes += result.as_ref().map_or(4, |result| result.as_str().len()) + 1;
            results.insert(shard.index, result);
        }
        after = page.next;
        if after.is_none() || bytes > limits::PAYLOAD {
            break;
        }
    }
    let has_some = results.values().any(Option::is_some);
    let list = has_some.then(|| results.into_values().collect::<Vec<_>>());
    let list = list.and_then(|list| Payload::of(&list).ok());
    Ok(list.filter(|list| list.as_str().len() <= limits::PAYLOAD))
}

/// The tasks of those jobs that have one.
async fn tasks(store: &dyn Store, jobs: &[JobId]) -> Result<Vec<TaskRow>> {
    let follow_ups = jobs.iter().map(|job| (*job, FollowUpKey::Task)).collect();
    let loaded = store.look_up(Wanted { follow_ups, ..Wanted::default() }).await?;
    let tasks = loaded.follow_ups.into_values().filter_map(|row| match row {
        FollowUp::Task(row) => Some(*row),
        _ => None,
    });
    Ok(tasks.collect())
}
