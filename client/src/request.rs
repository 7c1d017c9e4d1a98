use std::time::Duration;

use reqwest::{
    Request, Url,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, IF_MATCH},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    Error, Result, RetryPolicy,
    call::{Body, Call},
    rate::RateLimit,
    reply::{Failure, Reply},
    tries::{FAR, Tries},
};

/// The size from which bodies that may be compressed are.
const COMPRESS_FROM: usize = 8 * 1024;

/// The only place that sends: address, token, rate limit, time-outs and deadline.
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    /// Its path ends with a slash.
    pub(crate) base: Url,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) request_timeout: Duration,
    pub(crate) upload_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) compress: bool,
    pub(crate) max_reply: usize,
}

impl Http {
    /// When a call that begins now is given up.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline_after(Duration::ZERO)
    }

    /// Sends a call and takes the value out of its JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        self.send(call).await?.json()
    }

    /// Sends a call until it is answered, refused for good, or given up.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply> {
        let begin = Instant::now();
        let (wait, slow) = (call.wait, call.slow);
        let more = wait.unwrap_or_default().saturating_add(slow);
        let deadline = call.deadline.unwrap_or_else(|| self.deadline_after(more));
        let tries = Tries::new(&self.retry, self.rate_limit.as_ref(), deadline);
        let mut tries = if call.once { tries.once() } else { tries };
        let request = self.request(call)?;
        loop {
            let this = async {
                let mut request = request.try_clone().expect("every body is in memory");
                let left = wait.map(|wait| wait.saturating_sub(begin.elapsed()));
                self.limit(&mut request, left, slow);
                self.try_once(request).await
            };
            if let Some(reply) = tries.make(this).await? {
                return Ok(reply);
            }
        }
    }

    pub(crate) async fn try_once(&self, request: Request) -> Result<Reply, Failure> {
        let response = self.client.execute(request).await?;
        Reply::read(response, self.max_reply).await
    }

    /// The request that every try begins with.
    pub(crate) fn request(&self, call: Call) -> Result<Request> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), call.path));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = Request::new(call.method, url);
        if let Some(token) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        if let Some(version) = call.if_match {
            request.headers_mut().insert(IF_MATCH, HeaderValue::from(version));
        }
        if let Some(body) = call.body {
            self.put_body(&mut request, body)?;
        }
        Ok(request)
    }

    fn put_body(&self, request: &mut Request, body: Body) -> Result<()> {
        let Body { mut bytes, content_type, compressible } = body;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.compress && compressible && bytes.len() >= COMPRESS_FROM {
            bytes = zstd::bulk::compress(&bytes, 1).map_err(|error| {
                Error::invalid_request_from("the body cannot be compressed", error)
            })?;
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        }
        *request.body_mut() = Some(bytes.into());
        Ok(())
    }

    /// Sets what differs from try to try.
    fn limit(&self, request: &mut Request, wait: Option<Duration>, slow: Duration) {
        if let Some(wait) = wait {
            let millis = wait.as_millis().to_string();
            request.url_mut().query_pairs_mut().append_pair("timeoutMs", &millis);
        }
        let more = wait.unwrap_or_default().saturating_add(slow);
        let timeout = more.saturating_add(self.request_timeout);
        // The network library counts from its own now, which must not overflow either.
        *request.timeout_mut() = Some(timeout.min(FAR));
    }

    /// When a call that may take `more` than others is given up.
    pub(crate) fn deadline_after(&self, more: Duration) -> Instant {
        Instant::now() + self.deadline.saturating_add(more).min(FAR)
    }
}
