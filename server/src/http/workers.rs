use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use jobtracker_model::{
    ClaimTasks, ClaimedTasks, FieldError, HandlerView, Heartbeat, KickWorker, NewWorker, Orders,
    Page, WorkerRegistered, WorkerView, limits,
};

use super::{
    app::State,
    connection::Streamed,
    extract::{Json, Name},
    problem::Result,
    reply,
    right::{Operator, Reader, Writer},
};
use crate::clock;

/// Register a worker
///
/// For each start of a process. What it claims is its own as long as it is heard of. Not safe to
/// repeat: a worker that never comes is offline after a lease time, and forgotten after an hour.
#[utoipa::path(post, path = "/api/v1/workers", operation_id = "registerWorker", tag = "workers",
    request_body = NewWorker,
    responses((status = 201, description = "Its id, and how often it has to be heard of.",
        body = WorkerRegistered)))]
pub(super) async fn register(_: Writer, app: State, body: Json<NewWorker>) -> Result<HttpResponse> {
    let registered = app.dispatch.workers.register(body.0).await?;
    reply::json(StatusCode::CREATED, &registered)
}

/// List the workers
///
/// By id: at most 5,000, those that have gone within the last hour included.
#[utoipa::path(get, path = "/api/v1/workers", operation_id = "listWorkers", tag = "workers",
    responses((status = 200, description = "All workers.", body = Page<WorkerView>)))]
pub(super) async fn list(_: Reader, app: State) -> Result<HttpResponse> {
    reply::ok(&Page { items: app.dispatch.workers.views().await?, next_cursor: None })
}

/// Get a worker
#[utoipa::path(get, path = "/api/v1/workers/{name}", operation_id = "getWorker", tag = "workers",
    params(("name" = String, Path, description = "The id.")),
    responses((status = 200, description = "The worker.", body = WorkerView)))]
pub(super) async fn get(_: Reader, app: State, name: Name) -> Result<HttpResponse> {
    reply::ok(&app.dispatch.workers.get(&name.0).await?)
}

/// List the handlers that workers offer
#[utoipa::path(get, path = "/api/v1/handlers", operation_id = "listHandlers", tag = "workers",
    responses((status = 200, description = "By name.", body = Page<HandlerView>)))]
pub(super) async fn handlers(_: Reader, app: State) -> Result<HttpResponse> {
    reply::ok(&Page { items: app.dispatch.workers.handlers().await?, next_cursor: None })
}

/// Claim tasks
///
/// Answers with tasks that this worker may run and no other has, each on lease from then on and its
/// job Running; without any when the time is over. An answer that is lost costs nothing: the tasks
/// are given back when the worker does not name them in its heartbeats.
#[utoipa::path(post, path = "/api/v1/workers/{name}/claim", operation_id = "claimTasks",
    tag = "workers", params(("name" = String, Path, description = "The id of the worker.")),
    request_body = ClaimTasks,
    responses((status = 200, description = "The tasks.", body = ClaimedTasks)))]
pub(super) async fn claim(
    _: Writer,
    app: State,
    name: Name,
    body: Json<ClaimTasks>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let gone = async {
        match request.conn_data::<Streamed>() {
            Some(streamed) => streamed.client_goes().await,
            None => std::future::pending().await,
        }
    };
    claim_until(&app, name, body, gone).await
}

/// The same for a worker that goes when `gone` ends.
pub(super) async fn claim_until(
    app: &State,
    name: Name,
    body: Json<ClaimTasks>,
    gone: impl Future<Output = ()>,
) -> Result<HttpResponse> {
    body.0.check()?;
    // Very many requests wait at the same time, and each future around it would have room for it.
    let claiming = Box::pin(async { Ok(app.dispatch.claim(&name.0, body.0, gone).await?) });
    reply::ok(&app.unless_stopping(claiming).await?)
}

/// Give a sign of life
///
/// Keeps what the worker has on lease, and answers what it is to do: at once if there is an order,
/// otherwise when there is one or the time is over.
#[utoipa::path(post, path = "/api/v1/workers/{name}/heartbeat", operation_id = "heartbeat",
    tag = "workers", params(("name" = String, Path, description = "The id of the worker.")),
    request_body = Heartbeat,
    responses((status = 200, description = "The orders.", body = Orders)))]
pub(super) async fn heartbeat(
    _: Writer,
    app: State,
    name: Name,
    body: Json<Heartbeat>,
) -> Result<HttpResponse> {
    let hearing = Box::pin(async { Ok(app.dispatch.heartbeat(&name.0, body.0).await?) });
    reply::ok(&app.unless_stopping(hearing).await?)
}

/// Have a worker finish what it has
///
/// It claims nothing more, and is told to leave. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/workers/{name}/drain", operation_id = "drainWorker",
    tag = "workers", params(("name" = String, Path, description = "The id.")),
    responses((status = 200, description = "The worker.", body = WorkerView)))]
pub(super) async fn drain(caller: Writer, app: State, name: Name) -> Result<HttpResponse> {
    // A worker drains itself before it leaves.
    let draining = async { Ok(app.dispatch.workers.drain(&name.0).await?) };
    reply::ok(&caller.act_if_by_hand(&app, "drainWorker", &name.0, draining).await?)
}

/// Keep a worker out
///
/// Its leases end at once, so that others run its tasks, and no worker of its name may register
/// before the time is over. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/workers/{name}/kick", operation_id = "kickWorker",
    tag = "workers", params(("name" = String, Path, description = "The id.")),
    request_body = KickWorker,
    responses((status = 200, description = "The worker.", body = WorkerView)))]
pub(super) async fn kick(
    caller: Operator,
    app: State,
    name: Name,
    body: Json<KickWorker>,
) -> Result<HttpResponse> {
    if body.0.ban_ms > limits::WORKER_BAN_MS {
        let reason = format!("must be 0 to {}", limits::WORKER_BAN_MS);
        return Err(FieldError::new("banMs", reason).into());
    }
    let until = clock::now().after(Duration::from_millis(body.0.ban_ms));
    let kicking = async {
        let lost = app.dispatch.workers.kick(&name.0, until).await?;
        app.dispatch.lose(lost, &format!("worker {} was kicked", name.0)).await;
        Ok(app.dispatch.workers.get(&name.0).await?)
    };
    reply::ok(&caller.act(&app, "kickWorker", &name.0, kicking).await?)
}

/// Leave
///
/// What the worker still has on lease is run by others; no attempt is used.
#[utoipa::path(delete, path = "/api/v1/workers/{name}", operation_id = "leaveWorker",
    tag = "workers", params(("name" = String, Path, description = "The id of the worker.")),
    responses((status = 204, description = "It is forgotten.")))]
pub(super) async fn leave(_: Writer, app: State, name: Name) -> Result<HttpResponse> {
    let left = app.dispatch.workers.leave(&name.0).await?;
    app.dispatch.hand_back(&name.0, left, "it has left").await;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}
