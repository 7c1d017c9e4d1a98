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

/// The body of an upload, to be read part by part.
pub(crate) struct UploadBody {
    /// How it is compressed.
    pub encoding: Option<Encoding>,
    payload: Payload,
    /// No more bytes are awaited: the body has ended, or was too slow.
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
    /// The next bytes; `None` at the end.
    pub async fn next(&mut self, silence: Duration) -> Result<Option<Bytes>> {
        let slow = |_| ApiError::new(Code::RequestTimeout, "The commit was silent for too long.");
        let next = tokio::time::timeout(silence, self.payload.next()).await;
        self.is_over = !matches!(next, Ok(Some(Ok(_))));
        let next = next.map_err(slow)?;
        let broken = |error| ApiError::new(Code::InvalidCommit, format!("It broke off: {error}."));
        next.transpose().map_err(broken)
    }

    /// Reads and drops the rest, so that the client receives an answer that was given before the
    /// end. A client that sends for too long does not receive it.
    pub async fn drain(mut self) {
        /// The bounds of time and of bytes.
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
        // What is left is lost when the connection closes.
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
