use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use jobtracker_model::{DeliveryId, JobId, upload::UploadId};

use super::super::problem::{ApiError, Result};

/// The job in the address.
pub(crate) struct Id(pub JobId);

/// The commit in the address.
pub(crate) struct Commit(pub UploadId);

/// The job and the number of one of its checks or actions in the address.
pub(crate) struct NumberPath {
    pub id: JobId,
    pub number: u32,
}

/// The delivery in the address.
pub(crate) struct DeliveryPath(pub DeliveryId);

/// The name of a token in the address.
pub(crate) struct Name(pub String);

/// The job and the key of an attachment in the address.
pub(crate) struct AttachmentPath {
    pub id: JobId,
    pub key: String,
}

impl FromRequest for Id {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(id(request).map(Self))
    }
}

impl FromRequest for Commit {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("commit").unwrap_or_default();
        ready(text.parse().map(Self).map_err(|error| ApiError::query("commit", error)))
    }
}

impl FromRequest for Name {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.match_info().get("name").unwrap_or_default().to_owned())))
    }
}

impl FromRequest for NumberPath {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("number").unwrap_or_default();
        let number = text.parse().map_err(|_| ApiError::query("number", "must be a number"));
        ready(id(request).and_then(|id| Ok(Self { id, number: number? })))
    }
}

impl FromRequest for DeliveryPath {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("delivery").unwrap_or_default();
        ready(text.parse().map(Self).map_err(|error| ApiError::query("delivery", error)))
    }
}

impl FromRequest for AttachmentPath {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(id(request).and_then(|id| Ok(Self { id, key: key(request)? })))
    }
}

fn id(request: &HttpRequest) -> Result<JobId> {
    let text = request.match_info().get("id").unwrap_or_default();
    text.parse().map_err(|error| ApiError::query("id", error))
}

fn key(request: &HttpRequest) -> Result<String> {
    let decoded = web::Path::<(String, String)>::from_request(request, &mut Payload::None);
    match decoded.into_inner() {
        Ok(path) => Ok(path.into_inner().1),
        Err(error) => Err(ApiError::query("key", error)),
    }
}
