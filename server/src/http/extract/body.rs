use std::io::Read;

use actix_web::{
    HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    web,
};
use futures_util::StreamExt;
use jobtracker_model::ProblemCode as Code;

use super::super::{
    app::{App, State},
    problem::{ApiError, Result},
};
use crate::http::compress::Encoding;

/// Bodies from this size on are unpacked and parsed off the worker, so that it can go on.
pub(super) const ELSEWHERE_FROM: usize = 256 * 1024;

/// The window of a zstd body may take this much memory, 2^25 bytes; the usual levels need less.
pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// What the head of a request says of its body, before any of it is read.
pub(super) struct BodyHead {
    app: State,
    encoding: Option<Encoding>,
    announced: Option<usize>,
}

/// A content type that is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Text,
}

/// The type of the body, which has to be one of those that the request takes.
pub(super) fn kind(request: &HttpRequest, taken: &[Kind]) -> Result<Kind> {
    let value = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""));
    let found = value.and_then(parse_kind).filter(|kind| taken.contains(kind));
    found.ok_or_else(|| {
        let names: Vec<_> = taken.iter().map(|kind| kind.name()).collect();
        other_type(&names.join(" or "), value)
    })
}

/// A request takes one content type, and the body has another.
pub(super) fn other_type(taken: &str, given: Option<&str>) -> ApiError {
    let given = given.map_or_else(|| "no content type".into(), |given| format!("{given:?}"));
    let detail = format!("It takes {taken} and the body has {given}.");
    ApiError::new(Code::UnsupportedMediaType, detail)
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain in UTF-8",
        }
    }
}

fn parse_kind(value: &str) -> Option<Kind> {
    // The one that nearly every request has, without a look at its parts.
    if value == "application/json" {
        return Some(Kind::Json);
    }
    let mut parts = value.split(';').map(str::trim);
    let kind = match parts.next()? {
        name if name.eq_ignore_ascii_case("application/json") => Kind::Json,
        name if name.eq_ignore_ascii_case("text/plain") => Kind::Text,
        _ => return None,
    };
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            let value = value.trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii")
        }
        _ => true,
    });
    utf8.then_some(kind)
}

impl BodyHead {
    pub fn of(request: &HttpRequest) -> Result<Self> {
        let app = request.app_data::<State>().cloned();
        let app = app.ok_or_else(|| ApiError::internal(&"the application has no state"))?;
        let encoding = encoding(request)?;
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        let announced = announced.and_then(|length| length.parse().ok());
        if announced.is_some_and(|length| length > app.body_limit) {
            return Err(too_large(&app));
        }
        Ok(Self { app, encoding, announced })
    }

    /// The whole body, unpacked.
    pub async fn read(self, payload: Payload) -> Result<web::Bytes> {
        let reading = self.collect(payload);
        let slow = || ApiError::new(Code::RequestTimeout, "The body was too slow.");
        let packed =
            tokio::time::timeout(self.app.body_timeout, reading).await.map_err(|_| slow())??;
        let Some(encoding) = self.encoding else { return Ok(packed) };
        let app = self.app.clone();
        // Even a small packed body may unpack to a large one.
        let unpacked = web::block(move || unpack(encoding, &packed, &app)).await;
        unpacked.map_err(|error| ApiError::internal(&error))?.map(web::Bytes::from)
    }

    async fn collect(&self, mut payload: Payload) -> Result<web::Bytes> {
        let Some(first) = payload.next().await else { return Ok(web::Bytes::new()) };
        let first = first.map_err(|error| broken(&error))?;
        if self.announced == Some(first.len()) {
            return Ok(first);
        }
        // What is announced may be a lie, so it gets room only as it comes in.
        let mut body = web::BytesMut::from(first);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            if body.len() + chunk.len() > self.app.body_limit {
                return Err(too_large(&self.app));
            }
            body.extend_from_slice(&chunk);
        }
        if body.len() > self.app.body_limit {
            return Err(too_large(&self.app));
        }
        Ok(body.freeze())
    }
}

pub(super) fn encoding(request: &HttpRequest) -> Result<Option<Encoding>> {
    let mut values = request.headers().get_all(CONTENT_ENCODING);
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.to_str().unwrap_or("").trim();
    let found = match name {
        name if name.eq_ignore_ascii_case("identity") => Some(None),
        name if name.eq_ignore_ascii_case("gzip") => Some(Some(Encoding::Gzip)),
        name if name.eq_ignore_ascii_case("zstd") => Some(Some(Encoding::Zstd)),
        _ => None,
    };
    found.filter(|_| values.next().is_none()).ok_or_else(|| {
        let detail = format!("The content encoding {name:?} is not spoken here.");
        ApiError::new(Code::UnsupportedEncoding, detail)
    })
}

/// Unpacks at most one byte more than a body may have, however much there is.
fn unpack(encoding: Encoding, packed: &[u8], app: &App) -> Result<Vec<u8>> {
    let broken = |error: std::io::Error| {
        ApiError::new(Code::UnsupportedEncoding, format!("It cannot be unpacked: {error}."))
    };
    let mut reader: Box<dyn Read + '_> = match encoding {
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            Box::new(decoder)
        }
    };
    let mut body = Vec::new();
    (&mut reader).take(app.body_limit as u64 + 1).read_to_end(&mut body).map_err(broken)?;
    if body.len() > app.body_limit { Err(too_large(app)) } else { Ok(body) }
}

fn too_large(app: &App) -> ApiError {
    let limit = app.body_limit;
    ApiError::new(Code::BodyTooLarge, format!("A body may have {limit} bytes after unpacking."))
}

fn broken(error: &PayloadError) -> ApiError {
    match error {
        PayloadError::Overflow => ApiError::new(Code::BodyTooLarge, ""),
        PayloadError::Incomplete(_) => {
            ApiError::new(Code::InvalidJson, "The body broke off before its announced end.")
        }
        other => ApiError::new(Code::InvalidJson, format!("The body cannot be read: {other}.")),
    }
}
