use actix_web::HttpResponse;
use jobtracker_model::{JobId, StateSet, Waited};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    extract::{Id, Query, states, wait_time},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};

/// What to wait for.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// The visible states that end the wait, separated by commas; absent: the finished ones.
    #[param(example = "RanToCompletion,Faulted")]
    states: Option<String>,
    /// The longest wait in milliseconds.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 60_000, default = 30_000)]
    timeout_ms: Option<String>,
}

/// Wait for a state
///
/// Answers when the job's visible state is, or becomes, one of the states, or when the time is
/// over.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/wait", operation_id = "waitForState", tag = "tree",
    params(("id" = JobId, Path, description = "The job."), WaitQuery),
    responses((status = 200, description = "The state that was seen.", body = Waited)))]
pub(super) async fn wait(
    _: Reader,
    app: State,
    id: Id,
    query: Query<WaitQuery>,
) -> Result<HttpResponse> {
    let wanted = match query.0.states.as_deref() {
        None => StateSet::FINISHED,
        Some(names) => states(Some(names))?,
    };
    if wanted.is_empty() {
        return Err(ApiError::query("states", "names no state to wait for"));
    }
    let time = wait_time(query.0.timeout_ms.as_deref())?;
    let waiting = async { Ok(app.engine.wait(id.0, wanted, time).await?) };
    reply::ok(&app.unless_stopping(waiting).await?)
}
