use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{Added, CheckStatus, JobCheck, JobId, NewCheck, Page};
use jobtracker_store::{CheckProgress, CheckRow, FollowUp, FollowUpKey};

use super::{
    actions::all_of_kind,
    app::State,
    extract::{Id, Json, NumberPath},
    problem::Result,
    reply,
    right::{Operator, Reader},
    validate::validate_off_thread,
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
pub(super) async fn add(
    caller: Operator,
    app: State,
    id: Id,
    body: Json<NewCheck>,
) -> Result<HttpResponse> {
    let (validator, check) = (app.follow_ups.validator(), body.0);
    check.check("check")?;
    let validated = validate_off_thread(move || validator.check("check", &check).map(|()| check));
    let check = validated.await?;
    let adding = async { Ok(app.engine.add_check(id.0, check).await?) };
    let (number, added) = caller.act(&app, "addCheck", id.0, adding).await?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    reply::json(status, &Added { number, added })
}

/// List the checks of a job
///
/// All at once, those that are over included, without secrets.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/checks", operation_id = "listChecks",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Page<JobCheck>)))]
pub(super) async fn list(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let items = all_of_kind(&app, id.0, FollowUpKey::Check(0)).await?;
    let items = items.into_iter().filter_map(|(key, row)| match row {
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
pub(super) async fn cancel(caller: Operator, app: State, path: NumberPath) -> Result<HttpResponse> {
    let cancelling = async { Ok(app.engine.cancel_check(path.id, path.number).await?) };
    let subject = format!("{}-{}", path.id, path.number);
    caller.act(&app, "cancelCheck", subject, cancelling).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
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
