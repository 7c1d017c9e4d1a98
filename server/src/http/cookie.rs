//! The cookie by which a browser has a session.

use actix_web::{
    HttpRequest,
    http::header::{COOKIE, HeaderName, HeaderValue, ORIGIN},
};
use cookie::{Cookie, CookieBuilder, SameSite, time::Duration};

use super::{
    connection::Encrypted,
    problem::{ApiError, Result},
};

pub(super) const NAME: &str = "jobtracker_session";

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Cookies of the name that are looked at.
const TRIED: usize = 8;

/// The texts that may be the session of a request. A browser sends the cookies of all paths and
/// hosts that the address lies below, so the first one may be of another program.
pub(super) fn all(request: &HttpRequest) -> Vec<String> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let cookies = headers.flat_map(Cookie::split_parse).filter_map(std::result::Result::ok);
    let own = cookies.filter(|cookie| cookie.name() == NAME);
    own.map(|cookie| cookie.value().to_owned()).take(TRIED).collect()
}

/// Has the browser keep a session for this long, and from connections that are not encrypted.
pub(super) fn keep(session: &str, encrypted: bool, millis: i64) -> Result<HeaderValue> {
    let cookie = base(session, encrypted).max_age(Duration::milliseconds(millis));
    header(&cookie.build())
}

/// Has the browser forget its session.
pub(super) fn forget(request: &HttpRequest) -> Result<HeaderValue> {
    header(&base("", is_encrypted(request)).max_age(Duration::ZERO).build())
}

/// It has no path: a browser then takes that of the address that sets it, up to its last slash,
/// which is the one of the API below whatever path a proxy serves it. So only answers of
/// `/api/v1/session` may set it.
fn base(session: &str, encrypted: bool) -> CookieBuilder<'_> {
    let cookie = Cookie::build((NAME, session)).http_only(true).same_site(SameSite::Strict);
    cookie.secure(encrypted)
}

/// Whether the browser's connection is encrypted, so that it may keep the cookie from all others.
/// A client that says so falsely only has its browser refuse the cookie.
pub(super) fn is_encrypted(request: &HttpRequest) -> bool {
    let says = |name, prefix: &[u8]| {
        let value = request.headers().get(name).map(HeaderValue::as_bytes);
        value.and_then(|value| value.get(..prefix.len())) == Some(prefix)
    };
    let is_own = request.conn_data::<Encrypted>().is_some();
    is_own || says(FORWARDED_PROTO, b"https") || says(ORIGIN, b"https://")
}

fn header(cookie: &Cookie<'_>) -> Result<HeaderValue> {
    let header = HeaderValue::try_from(cookie.to_string());
    header.map_err(|error| ApiError::internal(&error))
}
