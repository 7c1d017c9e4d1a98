use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_engine::{Error as EngineError, Holder, TaskChanged};
use jobtracker_model::{
    CancelledTree, CreatedChildren, JobId, LogAppended, NewLogLines, TaskChildren, TaskLog,
    TaskPhaseName, TaskReport, TaskReported, TaskView,
};
use jobtracker_store::{CancelReason, FollowUp, FollowUpKey, TaskPhase, TaskRow, Wanted};

use super::{
    app::{App, State},
    extract::{Id, Json},
    problem::Result,
    reply,
    right::{Operator, Reader, Writer},
    validate::validate_jobs,
};
use crate::clock;

/// Get the task of a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}/task", operation_id = "getTask", tag = "tasks",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The task.", body = TaskView)))]
pub(super) async fn get(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let (id, key) = (id.0, (id.0, FollowUpKey::Task));
    let (paths, follow_ups) = ([id].into(), [key].into());
    let wanted = Wanted { paths, follow_ups, ..Wanted::default() };
    let mut loaded = app.store.look_up(wanted).await?;
    match loaded.follow_ups.remove(&key) {
        Some(FollowUp::Task(row)) => reply::ok(&view(id, *row)),
        _ if loaded.nodes.contains_key(&id) => Err(EngineError::TaskNotFound(id).into()),
        _ => Err(EngineError::JobNotFound(id).into()),
    }
}

fn view(job: JobId, row: TaskRow) -> TaskView {
    let lease = row.lease().cloned();
    let assigned_to = row.assignment(clock::now()).map(|kept| kept.worker.clone());
    let (phase, since) = match row.phase {
        TaskPhase::Waiting(since) => (TaskPhaseName::Waiting, since),
        TaskPhase::Leased(lease) => (TaskPhaseName::Running, lease.since),
        TaskPhase::Paused(since) => (TaskPhaseName::Paused, since),
        TaskPhase::Ended(since) => (TaskPhaseName::Ended, since),
    };
    TaskView {
        job,
        task: (*row.task).clone(),
        phase,
        since,
        epoch: row.epoch,
        attempt: row.attempt,
        lease_until: lease.as_ref().map(|lease| lease.until),
        assigned_to,
        cancelling: lease.as_ref().is_some_and(|lease| lease.cancel.is_some()),
        worker: lease.map(|lease| lease.worker),
        progress: row.progress,
        result: row.result,
        data: row.data,
        next_at: row.next_at,
    }
}

/// Report what has become of a task
///
/// For the worker that has it on lease. Durable before the reply, with the state of the job. Safe
/// to repeat: the same state under the same lease is applied once.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/report", operation_id = "reportTask",
    tag = "tasks", params(("id" = JobId, Path, description = "The job.")),
    request_body = TaskReport,
    responses((status = 200, description = "It is noted.", body = TaskReported)))]
pub(super) async fn report(
    _: Writer,
    app: State,
    id: Id,
    body: Json<TaskReport>,
) -> Result<HttpResponse> {
    let worker = body.0.worker.clone();
    let TaskChanged { done, task, state } = app.engine.report_task(id.0, body.0).await?;
    if task.lease().is_none_or(|lease| lease.worker != worker) {
        app.dispatch.release(&worker, id.0, &task.task);
    }
    let cancel = task.lease().is_some_and(|lease| lease.cancel.is_some());
    reply::ok(&TaskReported { repeated: !done, state, cancel })
}

/// Create children of a job whose task the caller has on lease
///
/// They may have tasks of their own. Otherwise as for any children.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/children",
    operation_id = "createChildrenOfTask", tag = "tasks",
    params(("id" = JobId, Path, description = "The job.")), request_body = TaskChildren,
    responses((status = 201, description = "In the order of the request.",
        body = CreatedChildren)))]
pub(super) async fn create_children(
    _: Writer,
    app: State,
    id: Id,
    body: Json<TaskChildren>,
) -> Result<HttpResponse> {
    let TaskChildren { worker, epoch, jobs } = body.0;
    let jobs = validate_jobs(&app, jobs, |index| format!("jobs[{index}].")).await?;
    let holder = Holder { worker, epoch };
    let created = app.engine.create_children_of_task(id.0, jobs, holder).await?;
    reply::json(StatusCode::CREATED, &created)
}

/// Append lines to the log of a job whose task the caller has on lease
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/log", operation_id = "appendLogOfTask",
    tag = "tasks", params(("id" = JobId, Path, description = "The job.")),
    request_body = TaskLog,
    responses((status = 200, description = "Where the lines stand.", body = LogAppended)))]
pub(super) async fn append_log(
    _: Writer,
    app: State,
    id: Id,
    body: Json<TaskLog>,
) -> Result<HttpResponse> {
    let TaskLog { worker, epoch, lines, append_id } = body.0;
    let (lines, holder) = (NewLogLines { lines, append_id }, Holder { worker, epoch });
    reply::ok(&app.engine.append_log_of_task(id.0, lines, holder).await?)
}

/// Cancel a task
///
/// At once if no worker has it. Otherwise its worker is asked to stop; the job ends when it has, or
/// when its time for that is over, whatever the worker has come to. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/cancel", operation_id = "cancelTask",
    tag = "tasks", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The task.", body = TaskView)))]
pub(super) async fn cancel(caller: Operator, app: State, id: Id) -> Result<HttpResponse> {
    let by = caller.admitted.principal.name().into();
    let cancelling = async {
        let reason = CancelReason::Cancelled;
        let changed = app.engine.cancel_task(id.0, reason, Some(by)).await?;
        if let Some(lease) = changed.task.lease() {
            app.dispatch.workers.tell(&lease.worker);
        }
        Ok(changed)
    };
    done(&app, &caller, ("cancelTask", id.0), cancelling).await
}

/// Cancel a job with all that is open below it
///
/// Jobs that no worker has end at once as Faulted, with the reason `cancelled`, and their tasks are
/// given to no worker of this server while the request works. The workers that have the others are
/// asked to stop. One request looks at some 10,000 jobs and says whether there are more. Safe to
/// repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", operation_id = "cancelTree",
    tag = "tasks", params(("id" = JobId, Path, description = "The job at the top.")),
    responses((status = 200, description = "How many jobs that were.", body = CancelledTree)))]
pub(super) async fn cancel_tree(caller: Operator, app: State, id: Id) -> Result<HttpResponse> {
    let by = caller.admitted.principal.name();
    let cancelling = async { Ok(app.dispatch.cancel_tree(id.0, by).await?) };
    reply::ok(&caller.act(&app, "cancelTree", id.0, cancelling).await?)
}

/// Pause a task
///
/// While no worker has it: none may claim it until it is resumed. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/pause", operation_id = "pauseTask",
    tag = "tasks", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The task.", body = TaskView)))]
pub(super) async fn pause(caller: Operator, app: State, id: Id) -> Result<HttpResponse> {
    let by = caller.admitted.principal.name().into();
    let pausing = async { Ok(app.engine.pause_task(id.0, Some(by)).await?) };
    done(&app, &caller, ("pauseTask", id.0), pausing).await
}

/// Resume a task
///
/// Workers may claim one that was paused, or held from the beginning. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/task/resume", operation_id = "resumeTask",
    tag = "tasks", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The task.", body = TaskView)))]
pub(super) async fn resume(caller: Operator, app: State, id: Id) -> Result<HttpResponse> {
    let by = caller.admitted.principal.name().into();
    let resuming = async { Ok(app.engine.resume_task(id.0, Some(by)).await?) };
    done(&app, &caller, ("resumeTask", id.0), resuming).await
}

async fn done(
    app: &App,
    caller: &Operator,
    (act, id): (&str, JobId),
    work: impl Future<Output = Result<TaskChanged>>,
) -> Result<HttpResponse> {
    let changed = caller.act(app, act, id, work).await?;
    reply::ok(&view(id, *changed.task))
}
