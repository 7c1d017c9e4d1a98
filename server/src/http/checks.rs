use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{Added, CheckKind, CheckStatus, JobCheck, JobId, NewCheck, NewJob, Page};
use jobtracker_store::{CheckProgress, CheckRow, FollowUp, FollowUpKey, FollowUpsQuery};

use super::{
    actions::check_target,
    app::{App, State},
    extract::{CheckPath, Id, Json, limit},
    problem::Result,
    reply,
    roots_filter::compile,
};

/// Add a check to a job
///
/// One whose time is past is made at once. Durable before the reply. Safe to repeat: the same check
/// is there once.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/checks", operation_id = "addCheck",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    request_body = NewCheck,
    responses((status = 201, description = "It is new.", body = Added),
        (status = 200, description = "It was there already.", body = Added)))]
pub(super) async fn add(app: State, id: Id, body: Json<NewCheck>) -> Result<HttpResponse> {
    check_check(&app, "check", &body.0).await?;
    let (number, added) = app.engine.add_check(id.0, body.0).await?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    reply::json(status, &Added { number, added })
}

/// List the checks of a job
///
/// All at once, those that are over included, without secrets.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/checks", operation_id = "listChecks",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Page<JobCheck>)))]
pub(super) async fn list(app: State, id: Id) -> Result<HttpResponse> {
    let query = FollowUpsQuery { id: id.0, from: FollowUpKey::Check(0), limit: limit(None)? };
    let listed = app.store.list_follow_ups(query).await?;
    let items = listed.items.into_iter().filter_map(|(key, row)| match row {
        FollowUp::Check(row) => Some(shown(key.parts().1, &row)),
        _ => None,
    });
    reply::ok(&Page { items: items.collect(), next_cursor: None })
}

/// Cancel a check
///
/// Durable before the reply. Safe to repeat.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}/checks/{number}", operation_id = "cancelCheck",
    tag = "follow-ups",
    params(("id" = JobId, Path, description = "The job."),
        ("number" = u32, Path, description = "The check.")),
    responses((status = 204, description = "It will not be made.")))]
pub(super) async fn cancel(app: State, path: CheckPath) -> Result<HttpResponse> {
    app.engine.cancel_check(path.id, path.number).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// Whether what a new job wants to follow can be followed here.
pub(super) async fn check_job(app: &App, within: &str, job: &NewJob) -> Result<()> {
    for (index, action) in job.actions.iter().enumerate() {
        check_target(app, &format!("{within}actions[{index}].email"), &action.target)?;
    }
    for (index, check) in job.checks.iter().enumerate() {
        check_check(app, &format!("{within}checks[{index}]"), check).await?;
    }
    Ok(())
}

async fn check_check(app: &App, field: &str, check: &NewCheck) -> Result<()> {
    for (side, target) in [("success", &check.success), ("failure", &check.failure)] {
        if let Some(target) = target {
            check_target(app, &format!("{field}.{side}.email"), target)?;
        }
    }
    if let CheckKind::Subtree { expression, .. } = &check.kind {
        compile(expression.clone()).await?;
    }
    Ok(())
}

fn shown(number: u32, row: &CheckRow) -> JobCheck {
    let (status, time, found) = match row.progress {
        CheckProgress::Waiting(time) => (CheckStatus::Waiting, time, None),
        CheckProgress::Done { time, passed: true, state } => {
            (CheckStatus::Passed, time, Some(state))
        }
        CheckProgress::Done { time, passed: false, state } => {
            (CheckStatus::Failed, time, Some(state))
        }
        CheckProgress::Cancelled(time) => (CheckStatus::Cancelled, time, None),
    };
    JobCheck { number, check: (&*row.check).into(), status, time, found, told: row.told }
}
