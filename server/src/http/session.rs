use actix_web::HttpResponse;
use jobtracker_model::Session;

use super::{app::State, problem::Result, reply, right::Reader};

/// Ask who the caller is
///
/// The name and the role, by which a page knows what it may offer.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "getSession", tag = "access",
    responses((status = 200, description = "The caller.", body = Session)))]
pub(super) async fn get(caller: Reader, app: State) -> Result<HttpResponse> {
    let principal = caller.principal;
    reply::ok(&Session {
        name: principal.name().to_owned(),
        role: principal.role(),
        token_required: !app.access.is_open(),
    })
}
