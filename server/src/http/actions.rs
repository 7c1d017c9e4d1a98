use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{
    Action, Added, JobAction, JobId, Page, ProblemCode, Target, Tested, limits,
};
use jobtracker_store::{FollowUp, FollowUpKey, FollowUpsQuery, PageLimit};
use url::Url;

use super::{
    app::{App, State},
    extract::{Id, Json, NumberPath},
    problem::{ApiError, Result},
    reply,
    right::{Operator, Reader},
};
use crate::{clock, follow_ups::test_send};

/// Add an action to a job
///
/// It fires for what happens from now on. For a job that is finished in a state that the action
/// names it is refused (`already_in_state`): it would wait for what has happened. Durable before
/// the reply. Safe to repeat: the same action is there once.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/actions", operation_id = "addAction",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    request_body = Action,
    responses((status = 201, description = "It is new.", body = Added),
        (status = 200, description = "It was there already.", body = Added)))]
pub(super) async fn add(
    caller: Operator,
    app: State,
    id: Id,
    body: Json<Action>,
) -> Result<HttpResponse> {
    body.0.check("action")?;
    app.follow_ups.validator().target("action", &body.0.target)?;
    let adding = async { Ok(app.engine.add_action(id.0, body.0).await?) };
    let (number, added) = caller.act(&app, "addAction", id.0, adding).await?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    reply::json(status, &Added { number, added })
}

/// List the actions of a job
///
/// All at once, without secrets.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/actions", operation_id = "listActions",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Page<JobAction>)))]
pub(super) async fn list(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let listed = all_of_kind(&app, id.0, FollowUpKey::Action(0)).await?;
    let item = |(key, row): (FollowUpKey, FollowUp)| match row {
        FollowUp::Action(action) => {
            Some(JobAction { number: key.parts().1, action: (&*action).into() })
        }
        _ => None,
    };
    let items = listed.into_iter().filter_map(item).collect();
    reply::ok(&Page::<JobAction> { items, next_cursor: None })
}

/// Try a target out
///
/// Sends a test, once, and answers with what came of it. It waits up to 5 s for a place at its
/// host. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/actions/test", operation_id = "testTarget",
    tag = "follow-ups", request_body = Target,
    responses((status = 200, description = "What came of it.", body = Tested)))]
pub(super) async fn test(caller: Operator, app: State, body: Json<Target>) -> Result<HttpResponse> {
    body.0.check("target")?;
    app.follow_ups.validator().target("target", &body.0)?;
    let subject = receivers(&body.0);
    caller.act(&app, "testTarget", subject, try_out(&app, body.0)).await
}

/// Try an action out
///
/// Sends a test to its receivers, with its headers and its signature, once, and answers with what
/// came of it. It waits up to 5 s for a place at its host. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/actions/{number}/test", operation_id = "testAction",
    tag = "follow-ups",
    params(("id" = JobId, Path, description = "The job."),
        ("number" = u32, Path, description = "The action.")),
    responses((status = 200, description = "What came of it.", body = Tested)))]
pub(super) async fn test_one(
    caller: Operator,
    app: State,
    path: NumberPath,
) -> Result<HttpResponse> {
    let testing = async {
        let all = all_of_kind(&app, path.id, FollowUpKey::Action(0)).await?;
        let mut all = all.into_iter();
        match all.find(|(key, _)| *key == FollowUpKey::Action(path.number)) {
            Some((_, FollowUp::Action(action))) => try_out(&app, action.target.clone()).await,
            _ => {
                let detail = format!("Job {} has no action {}.", path.id, path.number);
                Err(ApiError::new(ProblemCode::ActionNotFound, detail))
            }
        }
    };
    let subject = format!("{}-{}", path.id, path.number);
    caller.act(&app, "testAction", subject, testing).await
}

/// Whom a test is sent to, without what may be a secret.
fn receivers(target: &Target) -> String {
    let url = target.http.as_ref().and_then(|http| Url::parse(&http.url).ok());
    let host = url.as_ref().and_then(Url::host_str).into_iter();
    let addresses = target.email.iter().flat_map(|email| email.to.iter().map(String::as_str));
    host.chain(addresses).collect::<Vec<_>>().join(", ")
}

/// A receiver that does not answer does not hold up a stop.
async fn try_out(app: &App, target: Target) -> Result<HttpResponse> {
    let sending = async { Ok(test_send(&app.follow_ups, target, clock::now()).await) };
    reply::ok(&app.unless_stopping(sending).await?)
}

/// All follow-ups of one kind of a job; there are few.
pub(super) async fn all_of_kind(
    app: &App,
    id: JobId,
    first: FollowUpKey,
) -> Result<Vec<(FollowUpKey, FollowUp)>> {
    let (mut all, mut from) = (Vec::new(), first);
    loop {
        let query = FollowUpsQuery { id, from, limit: PageLimit::items(limits::PAGE) };
        let listed = app.store.list_follow_ups(query).await?;
        all.extend(listed.items);
        let Some(last) = listed.next else { return Ok(all) };
        from = last.next();
    }
}
