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
