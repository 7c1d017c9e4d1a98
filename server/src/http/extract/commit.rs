use std::{
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::CONTENT_TYPE, web::Bytes};
use futures_util::StreamExt;
use jobtracker_model::{ProblemCode as Code, upload::MEDIA_TYPE};

use super::body::{encoding, other_type};
use crate::http::{
    compress::Encoding,
    problem::{ApiError, Result},
};

/// A body that is a commit, to be read bit by bit.
pub(crate) struct UploadBody {
    /// How it is compressed.
    pub encoding: Option<Encoding>,
    payload: Payload,
    /// Nothing more is to be waited for: it has come to its end, or has been too slow.
    is_over: bool,
}

impl FromRequest for UploadBody {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = check_type(request).and_then(|()| encoding(request));
        let payload = payload.take();
        ready(head.map(|encoding| Self { encoding, payload, is_over: false }))
    }
}

impl UploadBody {
    /// The next bytes; none at the end.
    pub async fn next(&mut self, silence: Duration) -> Result<Option<Bytes>> {
        let slow = |_| ApiError::new(Code::RequestTimeout, "The commit was silent for too long.");
        let next = tokio::time::timeout(silence, self.payload.next()).await;
        self.is_over = !matches!(next, Ok(Some(Ok(_))));
        let next = next.map_err(slow)?;
        let broken = |error| ApiError::new(Code::InvalidCommit, format!("It broke off: {error}."));
        next.transpose().map_err(broken)
    }

    /// Reads the rest of it and forgets it, so that the sender gets to hear an answer that was
    /// given before the end. A sender that goes on for long does not.
    pub async fn drain(mut self) {
        /// How long, and how much.
        const TIME: Duration = Duration::from_secs(10);
        const MOST: usize = 256 * 1024 * 1024;
        let reading = async {
            let mut read = 0;
            while !self.is_over && read < MOST {
                match self.next(TIME).await {
                    Ok(Some(bytes)) => read += bytes.len(),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // What is left is closed with the connection.
        let _ = tokio::time::timeout(TIME, reading).await;
    }
}

fn check_type(request: &HttpRequest) -> Result<()> {
    let value = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""));
    let name = value.and_then(|value| value.split(';').next()).map(str::trim);
    if name.is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE)) {
        return Ok(());
    }
    Err(other_type(MEDIA_TYPE, value))
}
