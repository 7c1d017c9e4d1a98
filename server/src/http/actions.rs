use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{Action, Added, JobAction, JobId, Page, Target, Tested};
use jobtracker_store::{FollowUp, FollowUpKey, FollowUpsQuery};

use super::{
    app::{App, State},
    extract::{Id, Json, limit},
    problem::{ApiError, Result},
    reply,
};
use crate::{clock, follow_ups::test_send};

/// Add an action to a job
///
/// It fires for what happens from now on. Durable before the reply. Safe to repeat: the same action
/// is there once.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/actions", operation_id = "addAction",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    request_body = Action,
    responses((status = 201, description = "It is new.", body = Added),
        (status = 200, description = "It was there already.", body = Added)))]
pub(super) async fn add(app: State, id: Id, body: Json<Action>) -> Result<HttpResponse> {
    check_target(&app, "email", &body.0.target)?;
    let (number, added) = app.engine.add_action(id.0, body.0).await?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    reply::json(status, &Added { number, added })
}

/// List the actions of a job
///
/// All at once, without secrets.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/actions", operation_id = "listActions",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Page<JobAction>)))]
pub(super) async fn list(app: State, id: Id) -> Result<HttpResponse> {
    let query = FollowUpsQuery { id: id.0, from: FollowUpKey::Action(0), limit: limit(None)? };
    let listed = app.store.list_follow_ups(query).await?;
    let item = |(key, row): (FollowUpKey, FollowUp)| match row {
        FollowUp::Action(action) => {
            Some(JobAction { number: key.parts().1, action: (&*action).into() })
        }
        _ => None,
    };
    let items = listed.items.into_iter().filter_map(item).collect();
    reply::ok(&Page::<JobAction> { items, next_cursor: None })
}

/// Try a target out
///
/// Sends a test, once and at once, and answers with what came of it. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/actions/test", operation_id = "testTarget",
    tag = "follow-ups", request_body = Target,
    responses((status = 200, description = "What came of it.", body = Tested)))]
pub(super) async fn test(app: State, body: Json<Target>) -> Result<HttpResponse> {
    body.0.check("target")?;
    check_target(&app, "email", &body.0)?;
    reply::ok(&test_send(&app.follow_ups, body.0, clock::now()).await)
}

/// An e-mail can be sent only if there is a server for it.
pub(super) fn check_target(app: &App, field: &str, target: &Target) -> Result<()> {
    match target.email.is_some() && app.follow_ups.mailer.is_none() {
        true => {
            let reason = "cannot be sent: no SMTP server is configured (section smtp)";
            Err(ApiError::invalid_field(field, reason))
        }
        false => Ok(()),
    }
}
