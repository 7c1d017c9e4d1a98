//! The cause of a delivery. It is read when the delivery is sent: the message of a report is stored
//! once, and not in each delivery.

use jobtracker_model::{Blocker, Event, JobId, Report, State, Timestamp};
use jobtracker_store::{
    BlockersQuery, Cause as Kept, ChangesQuery, DeliveryRow, PageLimit, Result, Store,
};

use crate::outbox::{Cause, JobRef};

/// Failures that are searched for the earliest one, in a tree that is older than the service's
/// record of first faults.
const SEARCHED: usize = 100;

/// The cause of a delivery of a job, if an own change caused it.
pub(super) async fn cause(
    store: &dyn Store,
    job: JobRef,
    row: &DeliveryRow,
) -> Result<Option<Cause>> {
    let event = &row.event;
    let (id, time, message) = match row.cause {
        Kept::Told if row.trigger.is_check() => return Ok(None),
        Kept::Told => (event.source, event.time, event.message.clone()),
        Kept::At(report) => {
            let message = match &event.message {
                Some(message) => Some(message.clone()),
                None => said(store, report).await?,
            };
            (report.job, report.time, message)
        }
        Kept::Below => match first_failure(store, job.id).await? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let path = path(store, job, id).await?;
    Ok(path.last().cloned().map(|job| Cause { job, message, time, path }))
}

/// The message of a report, as much as a delivery has of it.
pub(crate) async fn said(store: &dyn Store, report: Report) -> Result<Option<String>> {
    let (id, from) = (report.job, report.change);
    let changes = store.list_changes(ChangesQuery { id, from, limit: PageLimit::items(1) }).await?;
    let message = changes.items.into_iter().next().and_then(|change| change.message);
    Ok(message.as_deref().map(Event::message))
}

/// The jobs from the one that fired down to the one that caused it. Jobs never move.
async fn path(store: &dyn Store, top: JobRef, cause: JobId) -> Result<Vec<JobRef>> {
    if top.id == cause {
        return Ok(vec![top]);
    }
    let Some(job) = store.get_job(cause).await? else { return Ok(Vec::new()) };
    let above = store.list_ancestors(cause).await?;
    let fired = top.id;
    let between = above.into_iter().take_while(|job| job.id != fired);
    let below = std::iter::once(job).chain(between);
    let below = below.map(|job| JobRef { id: job.id, name: job.definition.name.clone() });
    let mut path: Vec<_> = below.chain([top]).collect();
    path.reverse();
    Ok(path)
}

/// The earliest of the failures that caused a job's state. `None` if not all of them can be read:
/// there are too many, or the job has been opened again. A later failure is not used instead.
async fn first_failure(
    store: &dyn Store,
    of: JobId,
) -> Result<Option<(JobId, Timestamp, Option<String>)>> {
    let limit = PageLimit::items(SEARCHED);
    let failures = store.list_blockers(BlockersQuery { of, after: None, limit }).await?;
    let says_why = |failure: &Blocker| failure.last_change.state == State::Faulted;
    if failures.next.is_some() || !failures.items.iter().all(says_why) {
        return Ok(None);
    }
    let first = failures.items.into_iter().min_by_key(|failure| failure.last_change.time);
    Ok(first.map(|failure| {
        let change = failure.last_change;
        (failure.job.id, change.time, change.message.as_deref().map(Event::message))
    }))
}
