use std::pin::Pin;

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use jobtracker_model::ProblemCode;
use serde::de::DeserializeOwned;

use super::{
    super::problem::{ApiError, Result},
    body::{BodyHead, ELSEWHERE_FROM, json_kind},
};

/// A body of `application/json`.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = json_kind(request).and_then(|()| BodyHead::of(request));
        let payload = payload.take();
        Box::pin(async move {
            let body = head?.read(payload).await?;
            parse(body).await.map(Self)
        })
    }
}

/// A body of `application/json`, or none, of a caller who need not have a token: so it is small.
pub(crate) struct OptionalJson<T>(pub Option<T>);

/// The largest body of a caller who need not have a token, in bytes.
const WITHOUT_TOKEN: usize = 16 * 1024;

impl<T: DeserializeOwned + Send + 'static> FromRequest for OptionalJson<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = BodyHead::at_most(request, WITHOUT_TOKEN);
        let kind = json_kind(request);
        let payload = payload.take();
        Box::pin(async move {
            let body = head?.read(payload).await?;
            if body.is_empty() {
                return Ok(Self(None));
            }
            kind?;
            parse(body).await.map(|body| Self(Some(body)))
        })
    }
}

pub(super) async fn parse<T: DeserializeOwned + Send + 'static>(body: web::Bytes) -> Result<T> {
    let parsed = if body.len() >= ELSEWHERE_FROM {
        let parsing = web::block(move || serde_json::from_slice(&body));
        parsing.await.map_err(|error| ApiError::internal(&error))?
    } else {
        serde_json::from_slice(&body)
    };
    // The error names the line and the column.
    parsed.map_err(|error| ApiError::new(ProblemCode::InvalidJson, format!("{error}.")))
}
