use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{CreatedToken, NewToken, Page, Token};
use jobtracker_store::DocumentKey;

use super::{
    app::State,
    changes::PageQuery,
    cursor::{self, List},
    extract::{Json, Name, Query, limit},
    problem::Result,
    reply,
    right::Admin,
};
use crate::clock;

/// Make a token
///
/// Durable before the reply, which is the only one that has the secret. Every server accepts it
/// from then on. The name of a token that was revoked or has expired is free.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = NewToken,
    responses((status = 201, description = "It is new.", body = CreatedToken)))]
pub(super) async fn create(
    caller: Admin,
    app: State,
    body: Json<NewToken>,
) -> Result<HttpResponse> {
    // So that no text of any length is put on the audit list.
    body.0.check()?;
    let subject = format!("{} ({})", body.0.name, body.0.role);
    let by = &caller.admitted.principal;
    let making = async { Ok(app.access.tokens.create(body.0, by, clock::now()).await?) };
    let created = caller.act(&app, "createToken", subject, making).await?;
    reply::json(StatusCode::CREATED, &created)
}

/// List the tokens
///
/// By name, without secrets, those that were revoked or have expired in the last 30 days included.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "listTokens", tag = "access",
    params(PageQuery), responses((status = 200, description = "A page.", body = Page<Token>)))]
pub(super) async fn list(_: Admin, app: State, query: Query<PageQuery>) -> Result<HttpResponse> {
    let PageQuery { limit: items, cursor } = query.0;
    let after = cursor::decode(List::Tokens, 0, cursor.as_deref())?;
    let listed = app.access.tokens.list(after, limit(items.as_deref())?).await?;
    let next = |last: DocumentKey| cursor::encode(List::Tokens, 0, &last);
    reply::ok(&Page { items: listed.items, next_cursor: listed.next.map(next) })
}

/// Revoke a token
///
/// Durable before the reply. This server refuses it from then on, every other one within five
/// seconds. Safe to repeat.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", operation_id = "revokeToken",
    tag = "access", params(("name" = String, Path, description = "The name.")),
    responses((status = 204, description = "It is not accepted any more.")))]
pub(super) async fn revoke(caller: Admin, app: State, name: Name) -> Result<HttpResponse> {
    let revoking = async { Ok(app.access.tokens.revoke(&name.0, clock::now()).await?) };
    caller.act(&app, "revokeToken", &name.0, revoking).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}
