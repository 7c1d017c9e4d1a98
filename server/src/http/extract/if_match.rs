use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::IF_MATCH};

use super::super::problem::{ApiError, Result};

/// The version that the caller expects, from the header If-Match; none without the header.
pub(crate) struct IfMatch(pub Option<u64>);

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(expected(request).map(Self))
    }
}

fn expected(request: &HttpRequest) -> Result<Option<u64>> {
    let Some(header) = request.headers().get(IF_MATCH) else { return Ok(None) };
    let text = header.to_str().unwrap_or_default().trim();
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match number.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(ApiError::query("If-Match", "must be a version, as the ETag has it")),
    }
}
