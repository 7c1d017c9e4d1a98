use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{Overview, ProblemCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    app::State,
    openapi,
    problem::{ApiError, Result},
    reply,
    right::{Anyone, Reader},
};

/// How long the store may take to say whether it takes commits.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// How the service is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `ready`.
    #[schema(value_type = String)]
    status: &'static str,
}

/// Whether the process is alive
///
/// When it is not, only a new process may help: one that watches over it should end it. A service
/// that takes no work for a while, because it is shutting down or the disk is full, is alive.
#[utoipa::path(get, path = "/healthz", operation_id = "health", tag = "operation",
    responses((status = 200, description = "It is.", body = Health)))]
pub(super) async fn health(_: Anyone, app: State) -> Result<HttpResponse> {
    if !app.engine.is_alive() || !app.store.is_alive() {
        let detail = "The service cannot come back by itself.";
        return Err(ApiError::new(ProblemCode::StoreUnavailable, detail));
    }
    reply::ok(&Health { status: "ok" })
}

/// Whether the service takes work
///
/// Not while it is shutting down, and not while the store takes no commits.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "operation",
    responses((status = 200, description = "It does.", body = Health)))]
pub(super) async fn ready(_: Anyone, app: State) -> Result<HttpResponse> {
    if app.is_stopping() {
        return Err(ApiError::new(ProblemCode::ShuttingDown, ""));
    }
    app.engine.check()?;
    match tokio::time::timeout(CHECK_TIMEOUT, app.store.check()).await {
        Ok(checked) => checked?,
        Err(_) => {
            let detail = "The store did not say in time whether it takes commits.";
            return Err(ApiError::new(ProblemCode::StoreUnavailable, detail));
        }
    }
    reply::ok(&Health { status: "ready" })
}

/// Get an overview of a server
///
/// Numbers of the server that answers, from its memory.
#[utoipa::path(get, path = "/api/v1/overview", operation_id = "getOverview", tag = "operation",
    responses((status = 200, description = "The present.", body = Overview)))]
pub(super) async fn overview(_: Reader, app: State) -> Result<HttpResponse> {
    reply::ok(&app.overviews.get(app.hub.viewers()))
}

/// Numbers for Prometheus
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "operation",
    responses((status = 200, description = "In the OpenMetrics text format.", body = String,
        content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(_: Reader, app: State) -> Result<HttpResponse> {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let page = app.metrics.page().map_err(|error| ApiError::internal(&error))?;
    Ok(reply::with_type(StatusCode::OK, KIND, page.into_bytes()))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "operation",
    responses((status = 200, description = "It.", body = Object)))]
pub(super) async fn openapi_json(_: Anyone) -> Result<HttpResponse> {
    let body = openapi::document().as_bytes().to_vec();
    Ok(reply::with_type(StatusCode::OK, "application/json", body))
}
