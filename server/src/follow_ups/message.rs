//! What deliveries say, made of the stored rows of many deliveries at once. The message of a report
//! is stored once, and not in each delivery.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{
    Action, DeliveryId, EmailAction, Event, HttpAction, JobId, State, Target, Timestamp, Trigger,
};
use jobtracker_store::{
    BlockerRow, BlockersQuery, Cause as Kept, CheckRow, DeliveryRow, FollowUp, FollowUpKey, Loaded,
    PageLimit, Result, Store, Wanted,
};

use crate::outbox::{Cause, Finding, Found, JobName, JobRef, Notice, NoticeKind};

/// Failures that are searched for the earliest one, in a tree that is older than the service's
/// record of first faults.
const SEARCHED: usize = 100;
/// Deliveries whose earliest failures are searched for at once.
const SEARCHES: usize = 16;

/// A delivery with all that is needed to send it.
pub(super) struct Message {
    pub notice: Notice,
    pub http: Option<HttpAction>,
    pub email: Option<EmailAction>,
}

/// The own change that caused an event.
#[derive(Clone)]
struct Origin {
    job: JobId,
    time: Timestamp,
    said: Said,
}

/// The message of an own change.
#[derive(Clone)]
enum Said {
    Text(Option<String>),
    /// It is in the change of this number.
    In(u32),
}

/// The messages of deliveries, in their order; `None` where the follow-up that a delivery belongs
/// to is not there.
pub(super) async fn messages(
    store: &dyn Store,
    deliveries: &[(DeliveryId, &DeliveryRow)],
) -> Result<Vec<Option<Message>>> {
    let failures = first_failures(store, deliveries).await?;
    let origins = deliveries.iter().map(|(id, row)| origin(id.job, row, &failures));
    let origins: Vec<_> = origins.collect();
    let mut wanted = Wanted::default();
    for ((id, row), origin) in deliveries.iter().zip(&origins) {
        wanted.definitions.insert(id.job);
        wanted.follow_ups.insert((id.job, source_of(row.trigger)));
        if let Some(Origin { job, said, .. }) = origin {
            if let Said::In(number) = said {
                wanted.changes.insert((*job, *number));
            }
            if *job != id.job {
                wanted.definitions.insert(*job);
                wanted.paths.insert(*job);
            }
        }
    }
    let mut loaded = store.look_up(wanted).await?;
    load_names(store, deliveries, &origins, &mut loaded).await?;
    let each = deliveries.iter().zip(origins);
    Ok(each.map(|((id, row), origin)| message(*id, row, origin, &loaded)).collect())
}

/// Adds the definitions of the jobs between those that fired and those that were the cause.
async fn load_names(
    store: &dyn Store,
    deliveries: &[(DeliveryId, &DeliveryRow)],
    origins: &[Option<Origin>],
    loaded: &mut Loaded,
) -> Result<()> {
    let each = deliveries.iter().zip(origins);
    let each = each.filter_map(|((id, _), origin)| Some((id.job, origin.as_ref()?.job)));
    let paths = each.flat_map(|(top, cause)| path(top, cause, loaded));
    let definitions: HashSet<_> = paths.filter(|id| !loaded.definitions.contains_key(id)).collect();
    if definitions.is_empty() {
        return Ok(());
    }
    let names = store.look_up(Wanted { definitions, ..Wanted::default() }).await?;
    loaded.definitions.extend(names.definitions);
    Ok(())
}

/// Where the cause of a delivery's event is, if an own change caused the event.
fn origin(job: JobId, row: &DeliveryRow, failures: &Failures) -> Option<Origin> {
    let DeliveryRow { event, trigger, cause, .. } = row;
    match cause {
        Kept::Told if trigger.is_check() => None,
        Kept::Told => {
            let said = Said::Text(event.message.clone());
            Some(Origin { job: event.source, time: event.time, said })
        }
        Kept::At(report) => {
            let said = match &event.message {
                Some(message) => Said::Text(Some(message.clone())),
                None => Said::In(report.change),
            };
            Some(Origin { job: report.job, time: report.time, said })
        }
        Kept::Below => failures.get(&job)?.clone(),
    }
}

/// The earliest failures at and below jobs.
type Failures = HashMap<JobId, Option<Origin>>;

/// The earliest failures for those deliveries that do not say what caused them.
async fn first_failures(
    store: &dyn Store,
    deliveries: &[(DeliveryId, &DeliveryRow)],
) -> Result<Failures> {
    let silent = deliveries.iter().filter(|(_, row)| row.cause == Kept::Below);
    let jobs: HashSet<JobId> = silent.map(|(id, _)| id.job).collect();
    let found = jobs.into_iter().map(async |job| Ok((job, first_failure(store, job).await?)));
    stream::iter(found).buffer_unordered(SEARCHES).try_collect().await
}

/// The earliest of the failures that caused a job's state. `None` if not all of them can be read:
/// there are too many, or the job has been opened again. A later failure is not used instead.
async fn first_failure(store: &dyn Store, of: JobId) -> Result<Option<Origin>> {
    let limit = PageLimit::items(SEARCHED);
    let failures = store.list_blockers(BlockersQuery { of, after: None, limit }).await?;
    let says_why = |failure: &BlockerRow| failure.last_change.state == State::Faulted;
    if failures.next.is_some() || !failures.items.iter().all(says_why) {
        return Ok(None);
    }
    let first = failures.items.into_iter().min_by_key(|failure| failure.last_change.time);
    Ok(first.map(|BlockerRow { job, last_change }| {
        let said = Said::Text(last_change.message.as_deref().map(Event::message));
        Origin { job: job.id, time: last_change.time, said }
    }))
}

/// The follow-up that a delivery belongs to.
fn source_of(trigger: Trigger) -> FollowUpKey {
    match trigger {
        Trigger::Action(number) => FollowUpKey::Action(number),
        Trigger::CheckPassed(number) | Trigger::CheckFailed(number) => FollowUpKey::Check(number),
    }
}

fn message(
    id: DeliveryId,
    row: &DeliveryRow,
    origin: Option<Origin>,
    loaded: &Loaded,
) -> Option<Message> {
    let definition = loaded.definitions.get(&id.job)?;
    let source = loaded.follow_ups.get(&(id.job, source_of(row.trigger)))?;
    let (target, kind) = match (source, row.trigger) {
        (FollowUp::Action(action), _) => {
            let Action { target, .. } = &**action;
            (target, NoticeKind::State)
        }
        (FollowUp::Check(check), Trigger::CheckPassed(_)) => {
            (check.check.success.as_ref()?, NoticeKind::Check(finding(check, row, true)))
        }
        (FollowUp::Check(check), _) => {
            (check.check.failure.as_ref()?, NoticeKind::Check(finding(check, row, false)))
        }
        _ => return None,
    };
    let event = &row.event;
    let notice = Notice {
        kind,
        delivery: id.to_string(),
        job: JobName { id: id.job, name: definition.name.clone(), root: event.root },
        state: event.state,
        time: event.time,
        cause: origin.and_then(|origin| cause(id.job, origin, loaded)),
        children: event.children,
        subtree: event.subtree,
    };
    let Target { http, email } = target.clone();
    Some(Message { notice, http, email })
}

fn finding(check: &CheckRow, row: &DeliveryRow, met: bool) -> Finding {
    let found = Found { state: row.event.state, last_change: row.event.quiet_since };
    Finding { expected: check.check.kind.clone(), met, found }
}

/// The cause of an event of a job; `None` if the job that it comes from is not there.
fn cause(top: JobId, origin: Origin, loaded: &Loaded) -> Option<Cause> {
    let Origin { job, time, said } = origin;
    let message = match said {
        Said::Text(text) => text,
        Said::In(number) => {
            let change = loaded.changes.get(&(job, number));
            change.and_then(|change| change.message.as_deref()).map(Event::message)
        }
    };
    let name = |id| {
        let definition = loaded.definitions.get(&id)?;
        Some(JobRef { id, name: definition.name.clone() })
    };
    let mut path: Vec<_> = path(top, job, loaded).map(name).collect::<Option<_>>()?;
    path.reverse();
    Some(Cause { job: path.last()?.clone(), message, time, path })
}

/// The jobs from the one that was the cause up to the one that fired. Jobs never move.
fn path(top: JobId, cause: JobId, loaded: &Loaded) -> impl Iterator<Item = JobId> {
    let above = move |id: &JobId| loaded.nodes.get(id)?.origin.parent.filter(|_| *id != top);
    std::iter::successors(Some(cause), above)
}
