use actix_web::HttpResponse;
use jobtracker_model::{
    limits,
    live::{Snapshot, WindowQuery},
};

use super::{
    app::State,
    extract::Json,
    problem::{ApiError, Result},
    reply,
    right::Reader,
};
use crate::live;

/// Get rows of a tree
///
/// The jobs of a tree as a table shows them, all at one version of the tree. With the `version` of
/// an answer as `since`, a tree that has not changed is answered without rows, and with `from`: so
/// a client that cannot keep a connection open asks again and again.
#[utoipa::path(post, path = "/api/v1/jobs/rows", operation_id = "getRows", tag = "live",
    request_body = WindowQuery,
    responses((status = 200, description = "The rows.", body = Snapshot)))]
pub(super) async fn get_rows(
    _: Reader,
    app: State,
    body: Json<WindowQuery>,
) -> Result<HttpResponse> {
    let WindowQuery { root, ids, since } = body.0;
    let max = limits::ROWS_PER_REQUEST;
    if ids.is_empty() || ids.len() > max {
        let reason = format!("has {} entries; it must have 1 to {max}", ids.len());
        return Err(ApiError::invalid_field("ids", reason));
    }
    if since.is_some() {
        let version = live::version(&*app.store, root).await?;
        if since == Some(version) {
            let (rows, missing) = Default::default();
            return reply::ok(&Snapshot { root, version, from: since, rows, missing });
        }
    }
    reply::ok(&live::read_rows(&*app.store, root, &ids).await?)
}
