use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{
    Created, CreatedChildren, Job, JobId, JobState, JobStates, NewChildren, NewJob, NewOptions,
    State as VisibleState, StateQuery, limits,
};

use super::{
    app::{App, State},
    extract::{Id, Json},
    problem::{ApiError, Result},
    reply,
    right::{Reader, Writer},
    validate::validate_jobs,
};

/// Create a job
///
/// Durable before the reply. With an id it is safe to repeat: the same id with the same definition
/// under the same parent answers the job that is there, with status 200.
#[utoipa::path(post, path = "/api/v1/jobs", operation_id = "createJob", tag = "jobs",
    request_body = NewJob,
    responses(
        (status = 201, description = "The job is new.", body = Created,
            headers(("location" = String, description = "The address of the job."))),
        (status = 200, description = "The job was there already.", body = Created)))]
pub(super) async fn create(_: Writer, app: State, body: Json<NewJob>) -> Result<HttpResponse> {
    let job = validate_jobs(&app, vec![body.0], |_| String::new()).await?.remove(0);
    let created = app.engine.create(job).await?;
    reply::created(created.created, created.id, &created)
}

/// Create children of one parent
///
/// All or none, durable before the reply. With ids it is safe to repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/children", operation_id = "createChildren",
    tag = "jobs", params(("id" = JobId, Path, description = "The parent.")),
    request_body = NewChildren,
    responses(
        (status = 201, description = "At least one child is new.", body = CreatedChildren),
        (status = 200, description = "All were there already.", body = CreatedChildren)))]
pub(super) async fn create_children(
    _: Writer,
    app: State,
    id: Id,
    body: Json<NewChildren>,
) -> Result<HttpResponse> {
    let jobs = validate_jobs(&app, body.0.jobs, |index| format!("jobs[{index}].")).await?;
    let created = app.engine.create_children(id.0, jobs).await?;
    let any_new = created.items.iter().any(|child| child.created);
    reply::json(if any_new { StatusCode::CREATED } else { StatusCode::OK }, &created)
}

/// Get a job
///
/// Of the root of a tree that a retention rule has deleted, the summary, where the rule keeps it.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", operation_id = "getJob", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = Job)))]
pub(super) async fn get(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    if let Some(row) = app.store.get_job(id.0).await? {
        return reply::ok(&Job::from(row));
    }
    let tombstone = app.store.get_tombstone(id.0).await?;
    let summary = tombstone.and_then(|tombstone| tombstone.summary_of(id.0));
    reply::ok(&summary.ok_or_else(|| ApiError::job_not_found(id.0))?)
}

/// Get the visible state of a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}/state", operation_id = "getState", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The state.", body = JobState)))]
pub(super) async fn get_state(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let states = app.store.get_states(vec![id.0]).await?;
    match states.first() {
        None | Some(VisibleState::WaitingForActivation) => Err(ApiError::job_not_found(id.0)),
        Some(state) => reply::ok(&JobState { id: id.0, state: *state }),
    }
}

/// Get the visible states of many jobs
///
/// In the order of the ids. A job that is not there is WaitingForActivation.
#[utoipa::path(post, path = "/api/v1/jobs/states", operation_id = "getStates", tag = "jobs",
    request_body = StateQuery,
    responses((status = 200, description = "The states.", body = JobStates)))]
pub(super) async fn get_states(
    _: Reader,
    app: State,
    body: Json<StateQuery>,
) -> Result<HttpResponse> {
    let ids = body.0.ids;
    let max = limits::STATES_PER_REQUEST;
    if ids.is_empty() || ids.len() > max {
        let reason = format!("has {} entries; it must have 1 to {max}", ids.len());
        return Err(ApiError::invalid_field("ids", reason));
    }
    let states = app.store.get_states(ids.clone()).await?;
    let items = ids.into_iter().zip(states).map(|(id, state)| JobState { id, state }).collect();
    reply::ok(&JobStates { items })
}

/// Replace the options of a job
///
/// Durable before the reply. Safe to repeat. Done by hand, it is on the audit list.
#[utoipa::path(put, path = "/api/v1/jobs/{id}/options", operation_id = "updateOptions",
    tag = "jobs", params(("id" = JobId, Path, description = "The job.")),
    request_body = NewOptions,
    responses((status = 200, description = "The job with its new options.", body = Job)))]
pub(super) async fn update_options(
    caller: Writer,
    app: State,
    id: Id,
    body: Json<NewOptions>,
) -> Result<HttpResponse> {
    let updating = async { Ok(app.engine.update_options(id.0, body.0.options).await?) };
    caller.act_if_by_hand(&app, "updateOptions", id.0, updating).await?;
    reply::ok(&load(&app, id.0).await?)
}

/// The job, which must be there.
pub(super) async fn load(app: &App, id: JobId) -> Result<Job> {
    let row = app.store.get_job(id).await?;
    row.map(Job::from).ok_or_else(|| ApiError::job_not_found(id))
}
