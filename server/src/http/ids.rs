use actix_web::HttpResponse;
use jobtracker_model::{IdBlock, ReserveIds};

use super::{app::State, extract::Json, problem::Result, reply, right::Writer};

/// Reserve ids
///
/// The ids belong to the caller for ever: they are never given out again. Safe to repeat; ids that
/// are lost that way leave a gap and do no harm.
#[utoipa::path(post, path = "/api/v1/ids", operation_id = "reserveIds", tag = "ids",
    request_body = ReserveIds,
    responses((status = 200, description = "The ids.", body = IdBlock)))]
pub(super) async fn reserve(_: Writer, app: State, body: Json<ReserveIds>) -> Result<HttpResponse> {
    reply::ok(&app.engine.reserve_ids(body.0.count).await?)
}
