use std::pin::Pin;

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use encoding_rs::Encoding;
use jobtracker_model::NewLogLines;

use super::{
    super::problem::{ApiError, Result},
    body::{BodyHead, ELSEWHERE_FROM, Kind, kind, text_kind},
    json,
    lines::lines,
};

/// A body of `text/plain`.
pub(crate) struct Text(pub String);

/// Lines for a log, as JSON or as text.
pub(crate) enum LogBody {
    Json(NewLogLines),
    Lines(Vec<String>),
}

impl FromRequest for Text {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = text_kind(request);
        let head = kind.and_then(|charset| BodyHead::of(request).map(|head| (charset, head)));
        let payload = payload.take();
        Box::pin(async move {
            let (charset, head) = head?;
            exactly(head.read(payload).await?, charset).map(Self)
        })
    }
}

impl FromRequest for LogBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = kind(request);
        let head = kind.and_then(|kind| BodyHead::of(request).map(|head| (kind, head)));
        let payload = payload.take();
        Box::pin(async move {
            let (kind, head) = head?;
            let body = head.read(payload).await?;
            match kind {
                Kind::Json => json::parse(body).await.map(Self::Json),
                Kind::Text(charset) => output(body, charset).await.map(Self::Lines),
            }
        })
    }
}

/// A text that is stored unchanged: bytes outside its character set are refused.
fn exactly(body: web::Bytes, charset: &'static Encoding) -> Result<String> {
    if charset == encoding_rs::UTF_8 {
        return String::from_utf8(body.into()).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            ApiError::invalid_field("text", format!("is not UTF-8 at byte {place}"))
        });
    }
    let decoded = charset.decode_without_bom_handling_and_without_replacement(&body);
    let name = charset.name();
    let broken = || ApiError::invalid_field("text", format!("is not {name} throughout"));
    decoded.map(Into::into).ok_or_else(broken)
}

/// The output of a program, with any content. Replacement marks for unreadable bytes say more than
/// a log without that output.
async fn output(body: web::Bytes, charset: &'static Encoding) -> Result<Vec<String>> {
    let is_large = body.len() >= ELSEWHERE_FROM;
    let read = move || lines(&charset.decode(&body).0);
    if is_large {
        web::block(read).await.map_err(|error| ApiError::internal(&error))
    } else {
        Ok(read())
    }
}
