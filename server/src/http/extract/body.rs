use std::{io::Read, pin::pin};

use actix_web::{
    HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    web,
};
use encoding_rs::Encoding;
use futures_util::{FutureExt, StreamExt};
use jobtracker_model::ProblemCode as Code;

use super::super::{
    app::State,
    problem::{ApiError, Result},
};
use crate::http::compress::Encoding as Packing;

/// Bodies from this size on are unpacked and parsed off the worker, which can go on meanwhile.
pub(super) const ELSEWHERE_FROM: usize = 256 * 1024;

/// The memory for the window of a zstd body, 2^25 bytes; the usual levels need less.
pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// What the head of a request says about its body, before the body is read.
pub(super) struct BodyHead {
    app: State,
    encoding: Option<Packing>,
    announced: Option<usize>,
    /// The largest body, unpacked.
    limit: usize,
}

/// A content type that is supported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// In this character set.
    Text(&'static Encoding),
}

/// The type of the body, for a request that takes JSON.
pub(super) fn json_kind(request: &HttpRequest) -> Result<()> {
    match kind(request) {
        Ok(Kind::Json) => Ok(()),
        _ => Err(other_type("application/json", given(request))),
    }
}

/// The character set of the body, for a request that takes text.
pub(super) fn text_kind(request: &HttpRequest) -> Result<&'static Encoding> {
    match kind(request) {
        Ok(Kind::Text(charset)) => Ok(charset),
        _ => Err(other_type("text/plain", given(request))),
    }
}

/// The type of the body, for a request that takes either.
pub(super) fn kind(request: &HttpRequest) -> Result<Kind> {
    let given = given(request);
    let kind = given.and_then(parse_kind);
    kind.ok_or_else(|| other_type("application/json or text/plain", given))
}

fn given(request: &HttpRequest) -> Option<&str> {
    request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""))
}

/// The refusal of a body with another content type than the request takes.
pub(super) fn other_type(taken: &str, given: Option<&str>) -> ApiError {
    let given = given.map_or_else(|| "no content type".into(), |given| format!("{given:?}"));
    let detail = format!("It takes {taken} and the body has {given}.");
    ApiError::new(Code::UnsupportedMediaType, detail)
}

fn parse_kind(value: &str) -> Option<Kind> {
    // The content type of nearly every request, without parsing.
    if value == "application/json" {
        return Some(Kind::Json);
    }
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next()?;
    let mut charset = encoding_rs::UTF_8;
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        if name.eq_ignore_ascii_case("charset") {
            charset = parse_charset(value.trim_matches('"'))?;
        }
    }
    match name {
        name if name.eq_ignore_ascii_case("text/plain") => Some(Kind::Text(charset)),
        // JSON has no other character set.
        name if name.eq_ignore_ascii_case("application/json") => {
            (charset == encoding_rs::UTF_8).then_some(Kind::Json)
        }
        _ => None,
    }
}

fn parse_charset(label: &str) -> Option<&'static Encoding> {
    // The web reads ASCII as windows-1252; a body with that label is more often UTF-8.
    let is_ascii = ["us-ascii", "ascii"].iter().any(|name| label.eq_ignore_ascii_case(name));
    if is_ascii { Some(encoding_rs::UTF_8) } else { Encoding::for_label(label.as_bytes()) }
}

impl BodyHead {
    pub fn of(request: &HttpRequest) -> Result<Self> {
        Self::at_most(request, usize::MAX)
    }

    /// The same for a body that has a limit of its own.
    pub fn at_most(request: &HttpRequest, limit: usize) -> Result<Self> {
        let app = request.app_data::<State>().cloned();
        let app = app.ok_or_else(|| ApiError::internal(&"the application has no state"))?;
        let limit = limit.min(app.body_limit);
        let encoding = encoding(request)?;
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        let announced = announced.and_then(|length| length.parse().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        Ok(Self { app, encoding, announced, limit })
    }

    /// The whole body, unpacked.
    pub async fn read(self, payload: Payload) -> Result<web::Bytes> {
        let mut reading = pin!(self.collect(payload));
        // A small body is there with its head, and needs no timer.
        let packed = match reading.as_mut().now_or_never() {
            Some(done) => done?,
            None => self.in_time(reading).await?,
        };
        let Some(encoding) = self.encoding else { return Ok(packed) };
        let limit = self.limit;
        // A small packed body may unpack to a large one.
        let unpacked = web::block(move || unpack(encoding, &packed, limit)).await;
        unpacked.map_err(|error| ApiError::internal(&error))?.map(web::Bytes::from)
    }

    async fn in_time(
        &self,
        reading: impl Future<Output = Result<web::Bytes>>,
    ) -> Result<web::Bytes> {
        let reading = self.app.sent_by_client(reading);
        let read = tokio::time::timeout(self.app.body_timeout, reading).await;
        read.map_err(|_| ApiError::new(Code::RequestTimeout, "The body was too slow."))?
    }

    async fn collect(&self, mut payload: Payload) -> Result<web::Bytes> {
        let Some(first) = payload.next().await else { return Ok(web::Bytes::new()) };
        let first = first.map_err(|error| broken(&error))?;
        if self.announced == Some(first.len()) {
            return Ok(first);
        }
        // The announced length may be wrong, so memory is allocated only as bytes come in.
        let mut body = web::BytesMut::from(first);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            if body.len() + chunk.len() > self.limit {
                return Err(too_large(self.limit));
            }
            body.extend_from_slice(&chunk);
        }
        if body.len() > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(body.freeze())
    }
}

pub(super) fn encoding(request: &HttpRequest) -> Result<Option<Packing>> {
    let mut values = request.headers().get_all(CONTENT_ENCODING);
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.to_str().unwrap_or("").trim();
    let found = match name {
        name if name.eq_ignore_ascii_case("identity") => Some(None),
        name if name.eq_ignore_ascii_case("gzip") => Some(Some(Packing::Gzip)),
        name if name.eq_ignore_ascii_case("zstd") => Some(Some(Packing::Zstd)),
        _ => None,
    };
    found.filter(|_| values.next().is_none()).ok_or_else(|| {
        let detail = format!("The content encoding {name:?} is not spoken here.");
        ApiError::new(Code::UnsupportedEncoding, detail)
    })
}

/// Unpacks at most one byte more than a body may have.
fn unpack(encoding: Packing, packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    let broken = |error: std::io::Error| {
        ApiError::new(Code::UnsupportedEncoding, format!("It cannot be unpacked: {error}."))
    };
    let mut reader: Box<dyn Read + '_> = match encoding {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            Box::new(decoder)
        }
    };
    let mut body = Vec::new();
    (&mut reader).take(limit as u64 + 1).read_to_end(&mut body).map_err(broken)?;
    if body.len() > limit { Err(too_large(limit)) } else { Ok(body) }
}

fn too_large(limit: usize) -> ApiError {
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
