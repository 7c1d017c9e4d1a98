//! Trees that were deleted.

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_engine::Error as EngineError;
use jobtracker_store::Tombstone;

use super::{app::State, problem::ApiError};

/// An answer that says a job is not there says instead that its tree was deleted, if it is the root
/// of one that was.
pub(super) async fn explain(request: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    let error = answer.error().and_then(|error| error.as_error::<ApiError>());
    let missing = error.and_then(ApiError::missing_job);
    let Some((root, app)) = missing.zip(request.app_data::<State>()) else { return answer };
    match app.store.get_tombstone(root).await {
        Ok(Some(Tombstone { time, by, .. })) => {
            HttpResponse::from_error(ApiError::from(EngineError::Gone { root, time, by }))
        }
        // That it is not there is true in any case.
        Ok(None) | Err(_) => answer,
    }
}
