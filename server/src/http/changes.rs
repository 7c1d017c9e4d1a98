use actix_web::HttpResponse;
use jobtracker_model::{Change, JobId, NewChange, Page, Updated};
use jobtracker_store::ChangesQuery;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    cursor::{self, List},
    extract::{Id, Json, Query, limit},
    problem::Result,
    reply,
    right::{Reader, Writer},
};

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    pub cursor: Option<String>,
}

/// Report a state
///
/// Durable before the reply, with all that it causes up to the root. With a change id it is safe
/// to repeat.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/changes", operation_id = "reportChange",
    tag = "changes", params(("id" = JobId, Path, description = "The job.")),
    request_body = NewChange,
    responses((status = 200, description = "What became of it.", body = Updated)))]
pub(super) async fn report(
    _: Writer,
    app: State,
    id: Id,
    body: Json<NewChange>,
) -> Result<HttpResponse> {
    reply::ok(&app.engine.update(id.0, body.0).await?)
}

/// List a job's own changes
///
/// Oldest first, beginning with its creation.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/changes", operation_id = "listChanges",
    tag = "changes", params(("id" = JobId, Path, description = "The job."), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Change>)))]
pub(super) async fn list(
    _: Reader,
    app: State,
    id: Id,
    query: Query<PageQuery>,
) -> Result<HttpResponse> {
    let (id, PageQuery { limit: items, cursor }) = (id.0, query.0);
    let from = cursor::decode(List::Changes, id.get(), cursor.as_deref())?.unwrap_or(0);
    let limit = limit(items.as_deref())?;
    let listed = app.store.list_changes(ChangesQuery { id, from, limit }).await?;
    let next = |last: u32| cursor::encode(List::Changes, id.get(), &last.saturating_add(1));
    reply::ok(&Page { items: listed.items, next_cursor: listed.next.map(next) })
}
