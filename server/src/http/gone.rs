//! Trees that were deleted.

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_engine::Error as EngineError;
use jobtracker_store::Tombstone;

use super::{
    app::{App, State},
    problem::ApiError,
};

/// An answer that says a job is not there says instead that its tree was deleted, if it is the root
/// of one that was.
pub(super) async fn explain(request: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    let error = answer.error().and_then(|error| error.as_error::<ApiError>());
    let Some((error, app)) = error.zip(request.app_data::<State>()) else { return answer };
    match instead(app, error).await {
        Some(gone) => HttpResponse::from_error(gone),
        None => answer,
    }
}

/// What is to be said instead of such an error.
pub(super) async fn instead(app: &App, error: &ApiError) -> Option<ApiError> {
    let root = error.missing_job()?;
    // If that is not known, it still is true that the job is not there.
    let Tombstone { time, by, .. } = app.store.get_tombstone(root).await.ok()??;
    Some(EngineError::Gone { root, time, by }.into())
}
