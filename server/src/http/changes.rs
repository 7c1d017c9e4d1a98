use actix_web::HttpResponse;
use jobtracker_model::{Change, JobId, NewChange, Page, Updated};
use jobtracker_store::{ChangesQuery, Order, PageLimit};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    cursor::{self, List},
    extract::{self, Id, Json, Query, limit},
    problem::{ApiError, Result},
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

/// Which page of the changes of a job.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangesParams {
    /// `oldest` or `newest` first. A cursor goes with the order of its page.
    #[param(example = "newest", default = "oldest")]
    order: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
}

/// Report a state
///
/// Durable before the reply, with all that it causes up to the root. With a change id it is safe
/// to repeat. A change that is reported in a browser, or with the token of an operator or an admin,
/// has the name of the caller (`by`).
#[utoipa::path(post, path = "/api/v1/jobs/{id}/changes", operation_id = "reportChange",
    tag = "changes", params(("id" = JobId, Path, description = "The job.")),
    request_body = NewChange,
    responses((status = 200, description = "What became of it.", body = Updated)))]
pub(super) async fn report(
    caller: Writer,
    app: State,
    id: Id,
    body: Json<NewChange>,
) -> Result<HttpResponse> {
    let change = NewChange { by: caller.admitted.by_hand().map(Into::into), ..body.0 };
    reply::ok(&app.engine.update(id.0, change).await?)
}

/// List a job's own changes
///
/// Oldest first, beginning with its creation, or newest first.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/changes", operation_id = "listChanges",
    tag = "changes", params(("id" = JobId, Path, description = "The job."), ChangesParams),
    responses((status = 200, description = "A page.", body = Page<Change>)))]
pub(super) async fn list(
    _: Reader,
    app: State,
    id: Id,
    query: Query<ChangesParams>,
) -> Result<HttpResponse> {
    let (id, ChangesParams { order, limit: items, cursor }) = (id.0, query.0);
    let limit = limit(items.as_deref())?;
    let page = match extract::order(order.as_deref())?.unwrap_or(Order::Oldest) {
        Order::Oldest => {
            let from = cursor::decode(List::Changes, id.get(), cursor.as_deref())?.unwrap_or(0);
            let listed = app.store.list_changes(ChangesQuery { id, from, limit }).await?;
            let next = |last: u32| cursor::encode(List::Changes, id.get(), &last.saturating_add(1));
            Page { items: listed.items, next_cursor: listed.next.map(next) }
        }
        Order::Newest => {
            let before = cursor::decode(List::NewestChanges, id.get(), cursor.as_deref())?;
            newest(&app, id, before, limit).await?
        }
    };
    reply::ok(&page)
}

/// The changes with the largest numbers below `before`, the largest first. They are numbered
/// without gaps, so these are read from the smallest of them on.
async fn newest(
    app: &App,
    id: JobId,
    before: Option<u32>,
    mut limit: PageLimit,
) -> Result<Page<Change>> {
    let job = app.store.get_job(id).await?.ok_or_else(|| ApiError::job_not_found(id))?;
    let end = before.map_or(job.status.changes, |before| before.min(job.status.changes));
    loop {
        limit.items = limit.items.min(end as usize);
        let from = end - u32::try_from(limit.items).unwrap_or(end);
        let mut listed = app.store.list_changes(ChangesQuery { id, from, limit }).await?;
        // A page that is full by its bytes lacks the newest ones: fewer fit.
        if listed.items.len() < limit.items && limit.items > 1 {
            limit.items = listed.items.len().max(1);
            continue;
        }
        listed.items.reverse();
        let next = |from| cursor::encode(List::NewestChanges, id.get(), &from);
        return Ok(Page { items: listed.items, next_cursor: (from > 0).then(|| next(from)) });
    }
}
