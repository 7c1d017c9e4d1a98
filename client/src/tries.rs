use std::future::Future;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Error, Result, reply::Failure, request::Http};

/// The tries of one call: how many there may be and until when, and what became of them.
pub(crate) struct Tries<'a> {
    http: &'a Http,
    attempts: u32,
    deadline: Instant,
    made: u32,
    /// Why the last complete one failed.
    last: Option<Error>,
    /// Whether one of them may have been carried out.
    unknown: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(http: &'a Http, attempts: u32, deadline: Instant) -> Self {
        Self { http, attempts, deadline, made: 0, last: None, unknown: false }
    }

    /// Makes a try when its turn has come. None: it failed, the pause after it is over, and there
    /// may be another one.
    pub(crate) async fn make<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>> {
        let turn = match &self.http.rate_limit {
            Some(rate_limit) => rate_limit.turn(self.deadline).await,
            None => true,
        };
        if !turn || Instant::now() >= self.deadline {
            return Err(self.given_up());
        }
        self.made += 1;
        let failure = match timeout_at(self.deadline, attempt).await {
            Ok(Ok(value)) => return Ok(Some(value)),
            Ok(Err(failure)) => failure,
            Err(_) => {
                self.unknown = true;
                return Err(self.given_up());
            }
        };
        let error = failure.error.after(self.unknown);
        self.unknown = error.outcome_unknown();
        if self.made >= self.attempts || !error.is_retryable() {
            return Err(error);
        }
        let policy = &self.http.retry;
        let pause = policy.pause(self.made, failure.retry_after, rand::random());
        tracing::debug!(%error, tries = self.made, ?pause, "trying again");
        self.last = Some(error);
        if pause >= self.deadline.saturating_duration_since(Instant::now()) {
            return Err(self.given_up());
        }
        sleep(pause).await;
        Ok(None)
    }

    /// Why the last complete try failed.
    pub(crate) fn last(&self) -> Option<&Error> {
        self.last.as_ref()
    }

    fn given_up(&mut self) -> Error {
        let last = self.last.take().map(Box::new);
        Error::DeadlineExceeded { last, outcome_unknown: self.unknown }
    }
}
