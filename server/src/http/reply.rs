use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue, LOCATION},
    },
};
use jobtracker_model::{JobId, Problem};
use serde::Serialize;

use super::problem::{ApiError, Result};

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// A JSON reply.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<HttpResponse> {
    let body = serde_json::to_vec(body).map_err(|error| ApiError::internal(&error))?;
    Ok(with_type(status, "application/json", body))
}

/// A JSON reply with status 200.
pub(crate) fn ok(body: &impl Serialize) -> Result<HttpResponse> {
    json(StatusCode::OK, body)
}

/// A JSON reply that says whether a job was created, and where it is.
pub(crate) fn created(new: bool, id: JobId, body: &impl Serialize) -> Result<HttpResponse> {
    let mut reply = json(if new { StatusCode::CREATED } else { StatusCode::OK }, body)?;
    if let Ok(place) = HeaderValue::try_from(format!("/api/v1/jobs/{id}")) {
        reply.headers_mut().insert(LOCATION, place);
    }
    Ok(reply)
}

/// A plain text reply.
pub(crate) fn text(body: String) -> HttpResponse {
    with_type(StatusCode::OK, TEXT, body.into_bytes())
}

/// An error reply.
pub(crate) fn problem(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // A problem consists of texts and numbers, so it can always be written.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    with_type(status, "application/problem+json", body)
}

pub(crate) fn with_type(status: StatusCode, kind: &'static str, body: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)))
        .body(body)
}
