use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue,
            RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    web,
};

use jobtracker_model::ProblemCode;

use super::{
    app::{App, State},
    compress::{COMPRESS_ELSEWHERE_FROM, COMPRESS_FROM, Encoding},
    endpoint::Matched,
    loops::refuse_delivery,
    problem::ApiError,
    reply,
    request_id::{GivenOut, REQUEST_ID},
    unread::Unread,
};

/// The one middleware: request id, problem bodies, compression, metrics, log, the rest of
/// the body. Every request passes through it, so it allocates next to nothing for a plain one, and
/// what few requests need is boxed: the future of each request is moved around.
pub(crate) async fn around(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let Some(app) = request.app_data::<State>().cloned() else {
        return next.call(request).await;
    };
    let started = Instant::now();
    let _in_flight = app.metrics.enter();
    let encoding = Encoding::accepted(request.headers());
    let unread = Unread::share(&mut request);
    let mut response = match refuse_delivery(request.headers()) {
        Ok(()) => next.call(request).await?,
        Err(refused) => request.error_response(refused),
    };
    let id = request_id(&app, response.request());
    if response.response().error().is_some() || response.status().is_server_error() {
        response = with_problem(response, &id);
    }
    if let Some(encoding) = encoding
        && is_worth_packing(&response)
    {
        response = Box::pin(compressed(response, encoding)).await;
    }
    response.headers_mut().insert(REQUEST_ID, id);
    keep_private(&mut response);
    record(&app, &response, started);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    Ok(match unread.filter(Unread::goes_on) {
        Some(unread) => Box::pin(with_rest(&app, response, unread)).await,
        None => response,
    })
}

/// Answers of the API are for their callers alone: for no cache on the way, for no page of another
/// site, and for no page as a script. What says otherwise itself is left as it is.
fn keep_private(response: &mut ServiceResponse) {
    const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (RESOURCE, "same-origin"),
    ] {
        if !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
}

/// The id that the handler was given, or the one that the request has, or a new one.
fn request_id(app: &App, request: &HttpRequest) -> HeaderValue {
    let given_out = request.extensions_mut().remove::<GivenOut>();
    given_out.map_or_else(|| app.request_ids.of(request.headers()), |GivenOut(id)| id)
}

/// The response, after the body is read that the handler has left.
async fn with_rest(app: &App, response: ServiceResponse, mut unread: Unread) -> ServiceResponse {
    let rest = async { Ok(unread.drain().await) };
    match app.unless_stopping(rest).await {
        Ok(true) => response,
        Ok(false) | Err(_) => unread.close_after(response),
    }
}

fn record(app: &App, response: &ServiceResponse, started: Instant) {
    let took = started.elapsed();
    let (request, status) = (response.request(), response.status());
    match request.app_data::<Matched>() {
        Some(Matched(route)) => route.count(request.method(), status, took),
        None => app.unrouted.count(request.method(), status, took),
    }
    tracing::debug!(
        method = request.method().as_str(),
        path = request.path(),
        status = status.as_u16(),
        took_us = took.as_micros() as u64,
        request_id = response.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()),
        "request answered"
    );
}

/// The reply for a request that was refused or failed.
fn with_problem(response: ServiceResponse, id: &HeaderValue) -> ServiceResponse {
    let id = id.to_str().unwrap_or_default();
    let ours = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let other = ours.is_none().then(|| ApiError::from_status(response.status()));
    let Some(error) = ours.or(other.as_ref()) else { return response };
    // A stop ends waits, which is intended.
    if response.status().is_server_error() && error.code() != ProblemCode::ShuttingDown {
        let (code, cause) = (error.code().code(), error.log_text());
        let request = response.request();
        let (method, path) = (request.method().as_str(), request.path());
        tracing::warn!(request_id = id, method, path, code, cause, "request failed");
    }
    let mut problem = reply::problem(&error.to_problem(id));
    if let Some(millis) = error.retry_after_ms() {
        put(&mut problem, RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    }
    if let Some(Ok(allow)) = error.allow().map(HeaderValue::from_str) {
        put(&mut problem, ALLOW, allow);
    }
    if problem.status() == actix_web::http::StatusCode::UNAUTHORIZED {
        put(&mut problem, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response.into_response(problem)
}

fn put(response: &mut HttpResponse, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

fn is_worth_packing(response: &ServiceResponse) -> bool {
    let size = response.response().body().size();
    matches!(size, BodySize::Sized(size) if size >= COMPRESS_FROM)
}

/// The same reply compressed; unchanged if that fails or if it is compressed already.
async fn compressed(response: ServiceResponse, encoding: Encoding) -> ServiceResponse {
    if response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(body) => body,
        Err(body) => return ServiceResponse::new(request, response.set_body(body)),
    };
    let plain = body.clone();
    let packed = if body.len() >= COMPRESS_ELSEWHERE_FROM {
        web::block(move || encoding.compress(&plain).ok()).await.ok().flatten()
    } else {
        encoding.compress(&plain).ok()
    };
    let mut response = response.set_body(BoxBody::new(()));
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if packed.is_some() {
        headers.insert(CONTENT_ENCODING, encoding.header());
        headers.remove(CONTENT_LENGTH);
    }
    let body = packed.map_or(body, web::Bytes::from);
    ServiceResponse::new(request, response.set_body(BoxBody::new(body)))
}
