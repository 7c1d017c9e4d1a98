use std::pin::Pin;

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use jobtracker_model::NewLogLines;

use super::{
    super::problem::{ApiError, Result},
    body::{BodyHead, Kind, kind},
    json,
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
        let head = kind(request, &[Kind::Text]).and_then(|_| BodyHead::of(request));
        let payload = payload.take();
        Box::pin(async move { utf8(head?.read(payload).await?, "text").map(Self) })
    }
}

impl FromRequest for LogBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = kind(request, &[Kind::Json, Kind::Text]);
        let head = kind.and_then(|kind| BodyHead::of(request).map(|head| (kind, head)));
        let payload = payload.take();
        Box::pin(async move {
            let (kind, head) = head?;
            let body = head.read(payload).await?;
            match kind {
                Kind::Json => json::parse(body).await.map(Self::Json),
                Kind::Text => Ok(Self::Lines(lines(&utf8(body, "lines")?))),
            }
        })
    }
}

fn utf8(body: web::Bytes, field: &str) -> Result<String> {
    String::from_utf8(body.into()).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        ApiError::invalid_field(field, format!("is not UTF-8 at byte {place}"))
    })
}

/// The lines of a text; a line break at the end begins no further line.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
