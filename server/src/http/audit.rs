use actix_web::HttpResponse;
use jobtracker_model::{AuditEntry, Page};
use jobtracker_store::DocumentKey;

use super::{
    app::State,
    changes::PageQuery,
    cursor::{self, List},
    extract::{Query, limit},
    problem::Result,
    reply,
    right::Admin,
};

/// List what callers did by hand
///
/// Who, what, when, from where; the newest first. Everything that needs the role operator or admin
/// and changes something is here, for as long as is configured, and options and attachments that
/// were changed in a browser or with a token of an operator or an admin. An entry is written
/// before the act, and says later if that failed.
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "listAudit", tag = "access",
    params(PageQuery), responses((status = 200, description = "A page.", body = Page<AuditEntry>)))]
pub(super) async fn list(_: Admin, app: State, query: Query<PageQuery>) -> Result<HttpResponse> {
    let PageQuery { limit: items, cursor } = query.0;
    let after = cursor::decode(List::Audit, 0, cursor.as_deref())?;
    let listed = app.audit.list(after, limit(items.as_deref())?).await?;
    let next = |last: DocumentKey| cursor::encode(List::Audit, 0, &last);
    reply::ok(&Page { items: listed.items, next_cursor: listed.next.map(next) })
}
