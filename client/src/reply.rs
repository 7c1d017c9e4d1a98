use std::time::Duration;

use jobtracker_model::Problem;
use reqwest::{
    Response,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A complete answer that says that the request was carried out.
pub(crate) struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Why one try failed, and when the next one may be made.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl From<reqwest::Error> for Failure {
    fn from(source: reqwest::Error) -> Self {
        Self { error: Error::transport(source), retry_after: None }
    }
}

/// A request that could not be made.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl Reply {
    /// Reads an answer to its end, up to `limit` bytes after decompression.
    pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Self, Failure> {
        let status = response.status();
        let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
        // A reserve of 64 KiB at most: the length is only what the other side claims.
        let mut body = Vec::with_capacity(expected.unwrap_or(0).min(64 * 1024));
        let mut too_large = false;
        while let Some(chunk) = response.chunk().await? {
            too_large = body.len() + chunk.len() > limit;
            if too_large {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        let reply = Self { status: status.as_u16(), headers, body };
        if too_large {
            let reason = format!("it is larger than {limit} bytes");
            return Err(reply.failure(reply.invalid(reason)));
        }
        if status.is_success() { Ok(reply) } else { Err(reply.into_failure()) }
    }

    /// The value in a JSON answer.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if !self.is("application/json") {
            return Err(self.invalid(self.wrong_type("application/json")));
        }
        serde_json::from_slice(&self.body).map_err(|error| self.invalid(error))
    }

    /// The text of a plain answer.
    pub(crate) fn plain(self) -> Result<String> {
        if !self.is("text/plain") {
            return Err(self.invalid(self.wrong_type("text/plain")));
        }
        self.text()
    }

    /// The body as text, of any media type.
    pub(crate) fn text(self) -> Result<String> {
        String::from_utf8(self.body).map_err(|error| {
            let source = error.utf8_error();
            Error::invalid_reply(self.status, error.as_bytes(), source)
        })
    }

    /// A header, if it is there and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// An answer that was read and understood, but does not fit the request.
    pub(crate) fn invalid(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::invalid_reply(self.status, &self.body, source)
    }

    /// The error in an answer whose status is not a success.
    fn into_failure(self) -> Failure {
        if !self.is("application/problem+json") && !self.is("application/json") {
            return self.failure(self.invalid(self.wrong_type("application/problem+json")));
        }
        let mut problem: Problem = match serde_json::from_slice(&self.body) {
            Ok(problem) => problem,
            Err(error) => return self.failure(self.invalid(error)),
        };
        // The status line is what every proxy on the way has seen.
        problem.status = self.status;
        if problem.retry_after_ms.is_none() {
            let wait = self.retry_after().map(|wait| wait.as_millis());
            problem.retry_after_ms = wait.and_then(|ms| u64::try_from(ms).ok());
        }
        let error = Error::problem(problem);
        Failure { retry_after: error.retry_after(), error }
    }

    fn failure(&self, error: Error) -> Failure {
        Failure { error, retry_after: self.retry_after() }
    }

    /// `Retry-After`: in seconds, or up to a time by the clock that the answer itself is dated by,
    /// since that clock and this machine's need not agree.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.header(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let moment = |text| jiff::fmt::rfc2822::parse(text).ok();
        let pause = moment(text)?.duration_since(&moment(self.header(&DATE)?)?);
        Some(Duration::try_from(pause).unwrap_or_default())
    }

    fn wrong_type(&self, right: &str) -> String {
        match self.content_type() {
            "" => format!("it has no content type where {right} belongs"),
            other => format!("it is {other:?} where {right} belongs"),
        }
    }

    fn is(&self, media_type: &str) -> bool {
        self.content_type().eq_ignore_ascii_case(media_type)
    }

    /// The media type without its parameters.
    fn content_type(&self) -> &str {
        let value = self.header(&CONTENT_TYPE).unwrap_or("");
        value.split_once(';').map_or(value, |(kind, _)| kind).trim()
    }
}
