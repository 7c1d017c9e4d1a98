use std::{sync::Arc, time::Duration};

use jobtracker_model::live::{Frame, ServerFrame, Topic};
use reqwest::{
    Response,
    header::{ACCEPT, HeaderValue},
};
use tokio::time::{sleep, timeout};

use crate::{
    Error, Result,
    call::Call,
    reply::{Failure, Reply},
    request::Http,
};

/// A call for the frames of a topic.
pub(crate) fn events(topic: Topic, every: Option<Duration>) -> Call {
    Call::get("api/v1/events")
        .query("topic", Some(topic))
        .query("everyMs", every.map(|every| every.as_millis()))
}

/// The frames of a subscription. A connection that breaks is made anew, as the client's policy
/// says.
pub(crate) struct Frames {
    http: Arc<Http>,
    connection: Option<Connection>,
    /// Tries since the last frame.
    tries: u32,
}

impl Frames {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http, connection: None, tries: 0 }
    }

    /// The next frame; `call` is made when there is no connection, and says where to go on.
    ///
    /// # Errors
    /// The service has ended the subscription for good, or does not answer.
    pub(crate) async fn next(&mut self, call: impl Fn() -> Call) -> Result<Frame> {
        loop {
            let failure = match self.connection.as_mut() {
                None => match self.connect(call()).await {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        continue;
                    }
                    Err(failure) => failure,
                },
                Some(connection) => match connection.next().await {
                    Ok(Frame::End { problem }) => Error::problem(problem).into(),
                    Ok(frame) => {
                        self.tries = 0;
                        return Ok(frame);
                    }
                    Err(failure) => failure,
                },
            };
            self.connection = None;
            self.pause(failure).await?;
        }
    }

    /// Has the next frame come over another connection.
    pub(crate) fn begin_again(&mut self) {
        self.connection = None;
    }

    async fn connect(&self, call: Call) -> Result<Connection, Failure> {
        let mut request = self.http.request(call)?;
        let kind = const { HeaderValue::from_static("text/event-stream") };
        request.headers_mut().insert(ACCEPT, kind);
        let answer = timeout(self.http.request_timeout, self.http.client.execute(request));
        let response = answer.await.map_err(|_| silent())??;
        if !response.status().is_success() {
            // It is a problem, whose body ends.
            let reply = Reply::read(response, self.http.max_reply).await?;
            return Err(reply.invalid("a stream of events has another status").into());
        }
        let limit = self.http.max_reply;
        Ok(Connection { response, came: Vec::new(), limit, silence: SILENCE })
    }

    /// Waits before the next try, if there is to be one.
    async fn pause(&mut self, failure: Failure) -> Result<()> {
        self.tries = self.tries.saturating_add(1);
        let retry = &self.http.retry;
        if self.tries >= retry.attempts || !failure.error.is_retryable() {
            return Err(failure.error);
        }
        let after = failure.error.retry_after().or(failure.retry_after);
        let pause = retry.pause(self.tries, after, rand::random());
        tracing::debug!(error = %failure.error, tries = self.tries, ?pause, "watching again");
        sleep(pause).await;
        Ok(())
    }
}

/// How long a connection may say nothing, until the service says how often it does.
const SILENCE: Duration = Duration::from_secs(45);
/// After this many heartbeats that do not come, the connection is taken to be broken.
const HEARTBEATS: u32 = 3;

/// The frames of one connection.
struct Connection {
    response: Response,
    came: Vec<u8>,
    /// The longest frame in bytes.
    limit: usize,
    silence: Duration,
}

impl Connection {
    /// The next frame that this version of the client knows.
    async fn next(&mut self) -> Result<Frame, Failure> {
        loop {
            while let Some(event) = self.event() {
                let data = event.split(|byte| *byte == b'\n');
                let data = data.filter_map(|line| line.strip_prefix(b"data:"));
                let data: Vec<u8> = data.flatten().copied().collect();
                match serde_json::from_slice::<ServerFrame>(&data) {
                    Ok(ServerFrame { frame: Frame::Hello { heartbeat_ms, .. }, .. }) => {
                        self.silence = Duration::from_millis(heartbeat_ms) * HEARTBEATS;
                    }
                    Ok(ServerFrame { frame, .. }) => return Ok(frame),
                    Err(error) => tracing::debug!(%error, "a frame of another version is skipped"),
                }
            }
            let came = timeout(self.silence, self.response.chunk()).await;
            match came.map_err(|_| silent())?? {
                Some(bytes) => self.came.extend_from_slice(&bytes),
                None => return Err(silent().into()),
            }
            if self.came.len() > self.limit {
                let reason = format!("a frame is larger than {} bytes", self.limit);
                let status = self.response.status().as_u16();
                return Err(Error::invalid_reply(status, &self.came, reason).into());
            }
        }
    }

    /// The next event that is complete: its lines.
    fn event(&mut self) -> Option<Vec<u8>> {
        let end = self.came.windows(2).position(|two| two == b"\n\n")?;
        let rest = self.came.split_off(end + 2);
        Some(std::mem::replace(&mut self.came, rest))
    }
}

/// The service says nothing any more.
pub(crate) fn silent() -> Error {
    Error::DeadlineExceeded { last: None, outcome_unknown: false }
}
