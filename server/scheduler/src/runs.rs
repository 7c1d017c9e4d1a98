//! Runs: the trees that firings make.

use std::time::Duration;

use futures_util::future::try_join_all;
use jobtracker_engine::{Engine, Error as EngineError};
use jobtracker_model::{
    Action, CheckKind, CheckedJob, FieldError, NewChange, NewCheck, NewJob, OnNoWorker, Shard,
    State, StateSet, Target,
};
use jobtracker_store::{
    CancelReason, FollowUp, FollowUpKey, FollowUpsQuery, JobRow, PageLimit, Store,
};

use crate::{
    Result,
    advance::{Left, RunFact},
    followed,
    record::{Record, Reserved, Run},
};

/// The change by which the root of a run with shards says that it has made them all.
const MADE: &str = "schedule-made";
/// The change by which a run ends for which a newer one takes its place.
const REPLACED: &str = "schedule-replaced";

/// How a run is, as far as its root tells; `None`: there is no root.
pub(crate) async fn look(store: &dyn Store, run: &Run) -> Result<Option<RunFact>> {
    let Some(JobRow { status, .. }) = store.get_job(run.reserved.root).await? else {
        return Ok(None);
    };
    Ok(Some(match status.tree_end {
        Some(end) if status.state.is_finished() => {
            let start = status.tree_start.map_or(status.create_time, |start| start.time);
            let millis = end.time.millis().saturating_sub(start.millis());
            let millis = u64::try_from(millis).unwrap_or(0);
            let left = left(store, run).await?;
            RunFact::Ended { state: status.state, time: end.time, millis, left }
        }
        _ => {
            let whole = !run.reserved.is_divided() || status.last.is_finished();
            RunFact::Open { whole }
        }
    }))
}

/// What the task of a run has left for the next one. Shards leave nothing: there are many of them.
async fn left(store: &dyn Store, run: &Run) -> Result<Left> {
    let id = run.reserved.root;
    if run.reserved.is_divided() {
        return Ok(Left::default());
    }
    let query = FollowUpsQuery { id, from: FollowUpKey::Task, limit: PageLimit::items(1) };
    let found = store.list_follow_ups(query).await?.items.pop();
    Ok(match found {
        Some((_, FollowUp::Task(row))) => Left { next_at: row.next_at, data: row.data },
        _ => Left::default(),
    })
}

/// Makes the tree of a run, or what is missing of it. Safe to repeat, by any server: the shards are
/// made all or none, so if another server knows other workers, those of the first count.
pub(crate) async fn make(
    (engine, store): (&Engine, &dyn Store),
    record: &Record,
    run: &Run,
    workers: &[String],
) -> Result<()> {
    let Reserved { root, children, first } = run.reserved;
    let template = &record.definition.run;
    let mut job = template.root(&record.name, root, run.params.as_ref());
    if let Some(task) = &mut job.task {
        if record.data.is_some() {
            task.data.clone_from(&record.data);
        }
        if let Some(per_worker) = record.definition.per_worker(&record.name) {
            task.filter.per_worker = Some(per_worker);
        }
        task.after = match &run.after {
            Some(after) => followed::look(store, after).await?,
            None => None,
        };
    }
    let task = if run.reserved.is_divided() { job.task.take() } else { None };
    let name = job.name.clone();
    add_alarm(&mut job, record, run);
    there(engine.create(job).await.map(drop))?;
    if !run.reserved.is_divided() {
        return Ok(());
    }
    let workers = if first.is_some() { workers } else { &[] };
    let total = match first {
        Some(_) => children.min(u32::try_from(workers.len()).unwrap_or(u32::MAX)),
        None => children,
    };
    if total == 0 {
        let end = change(State::Faulted, MADE, Some("no_worker"));
        let end = end.message("no worker is online for a shard");
        return Ok(engine.update(root, end).await.map(drop)?);
    }
    let shards = (0..total).map(|index| {
        let mut shard = NewJob {
            id: run.reserved.child(index),
            parent: Some(root),
            name: shard_name(&name, index, total),
            created_by: format!("schedule:{}", record.name),
            task: task.clone(),
            ..NewJob::default()
        };
        if let Some(task) = &mut shard.task {
            task.shard = Some(Shard { index, total });
            if let Some(worker) = workers.get(index as usize) {
                task.filter.workers = vec![worker.clone()];
                task.on_no_worker = OnNoWorker::Fail;
            }
        }
        CheckedJob::try_from(shard)
    });
    let shards = shards.collect::<std::result::Result<Vec<_>, FieldError>>()?;
    there(engine.create_children(root, shards).await.map(drop))?;
    engine.update(root, change(State::RanToCompletion, MADE, None)).await?;
    Ok(())
}

/// Adds what tells the receivers of the schedule's alarm.
fn add_alarm(root: &mut NewJob, record: &Record, run: &Run) {
    let Some(alarm) = &record.definition.alarm else { return };
    let started = record.statistics.last_start.unwrap_or(record.changed);
    let begun: StateSet = BEGUN.into_iter().collect();
    let mean = record.statistics.mean_ms.zip(alarm.long_percent);
    let long = mean.map(|(mean, percent)| mean.saturating_mul(u64::from(percent)) / 100);
    let checks = [
        // The root of a run with shards does not tell whether one has begun.
        (alarm.not_started_ms.filter(|_| !run.reserved.is_divided()), begun),
        (long.map(|millis| millis.max(LEAST_LONG)), StateSet::FINISHED),
    ];
    for action in &alarm.actions {
        let target = Target::from(action);
        if run.armed {
            root.actions.push(Action::new([State::Faulted], target.clone()));
        }
        for (millis, states) in checks {
            let Some(millis) = millis else { continue };
            let at = started.after(Duration::from_millis(millis));
            let check = NewCheck::new(CheckKind::State { at, states });
            root.checks.push(NewCheck { failure: Some(target.clone()), ..check });
        }
    }
}

/// States of a run that has begun.
const BEGUN: [State; 5] = [
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];
/// A run is not long before this many milliseconds.
const LEAST_LONG: u64 = 1_000;

/// Jobs of a run that are ended in one step.
pub(crate) const ENDED_AT_ONCE: u32 = 256;

/// Ends shards of an open run as Faulted, from this one on, and behind the last one its root: at
/// once, or when the workers that have their tasks have stopped. Answers where to go on; behind the
/// number of shards there is nothing more to do.
pub(crate) async fn replace(engine: &Engine, run: &Run, from: u32) -> Result<u32> {
    let Reserved { root, children, .. } = run.reserved;
    let until = children.saturating_add(1).min(from.saturating_add(ENDED_AT_ONCE));
    let shards = (from..until.min(children)).filter_map(|index| run.reserved.child(index));
    let ends = shards.chain((until > children).then_some(root)).map(|id| async move {
        match engine.cancel_task(id, CancelReason::Replaced, None).await {
            Err(EngineError::TaskNotFound(_)) => {
                let end = change(State::Faulted, REPLACED, Some("replaced"));
                engine.update(id, end).await.map(drop)
            }
            // Fewer workers than were counted had a shard.
            Err(EngineError::JobNotFound(_)) if id != root => Ok(()),
            done => done.map(drop),
        }
    });
    try_join_all(ends).await?;
    Ok(until)
}

fn change(state: State, id: &str, reason: Option<&str>) -> NewChange {
    NewChange {
        reason_code: reason.map(str::to_owned),
        change_id: Some(id.to_owned()),
        ..NewChange::new(state)
    }
}

/// The name of a shard; that of the run is shortened where both do not fit.
fn shard_name(name: &str, index: u32, total: u32) -> String {
    let suffix = format!(" {}/{total}", index + 1);
    let most = jobtracker_model::limits::NAME - suffix.len();
    let end = (0..=most.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    format!("{}{suffix}", &name[..end.unwrap_or(0)])
}

/// A job that is there with another definition was made before the schedule was changed.
fn there(made: std::result::Result<(), EngineError>) -> Result<()> {
    match made {
        Err(EngineError::IdConflict(_)) => Ok(()),
        made => Ok(made?),
    }
}
