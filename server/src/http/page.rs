//! The page: the documents and files that a browser loads. They show no stored data, so they need
//! no token; what they show comes from the API.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LINK, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use jobtracker_model::ProblemCode;
use jobtracker_web::{CONTENT_SECURITY_POLICY as POLICY, File, file, preload, shell};

use super::{
    admission::{Known, known},
    compress::Encoding,
    endpoint::Endpoint,
    extract::Name,
    problem::{ApiError, Result},
    right::Anyone,
};

const VIEWS: [&str; 13] = [
    "/",
    "/jobs/{id}",
    "/schedules",
    "/schedules/{name}",
    "/queue",
    "/workers",
    "/deliveries",
    "/uploads",
    "/uploads/{id}",
    "/service",
    "/retention",
    "/tokens",
    "/audit",
];

/// The addresses of its views, and of its files.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let views = VIEWS.into_iter().map(|path| Endpoint::at(path).get(view));
    views.chain([Endpoint::at("/page/{name}").get(asset)]).collect()
}

async fn view(_: Anyone, request: HttpRequest) -> Result<HttpResponse> {
    let folders = request.path().matches('/').count().saturating_sub(1);
    let document = shell(folders).ok_or_else(|| ApiError::new(ProblemCode::RouteNotFound, ""))?;
    let mut reply = answer(&request, document);
    let is_known = matches!(known(&request, None), Known::Is(Ok(_)));
    let link = preload(request.path(), request.query_string(), is_known);
    let link = HeaderValue::try_from(link).map_err(|error| ApiError::internal(&error))?;
    reply.headers_mut().insert(LINK, link);
    Ok(reply)
}

async fn asset(_: Anyone, name: Name, request: HttpRequest) -> Result<HttpResponse> {
    let found = file(&name.0).ok_or_else(|| ApiError::new(ProblemCode::RouteNotFound, ""))?;
    Ok(answer(&request, found))
}

/// Names are stable, so a browser asks each time whether its copy is still the one.
fn answer(request: &HttpRequest, file: &'static File) -> HttpResponse {
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.contains(&file.tag));
    let mut reply = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    reply
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CONTENT_TYPE, file.kind))
        .insert_header((ETAG, file.tag.as_str()))
        .insert_header((OPENER, "same-origin"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((VARY, ACCEPT_ENCODING.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if is_known {
        return reply.finish();
    }
    if Encoding::takes_gzip(request.headers()) {
        return reply.insert_header((CONTENT_ENCODING, "gzip")).body(file.gzip.as_slice());
    }
    reply.body(file.bytes.as_slice())
}
