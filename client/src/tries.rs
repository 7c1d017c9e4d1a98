use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Error, Result,
    reply::Failure,
    request::{FAR, Http},
};

/// The tries of one call: how many there may be and until when, and what became of them.
pub(crate) struct Tries<'a> {
    http: &'a Http,
    attempts: u32,
    deadline: Instant,
    /// How much of the time that the tries take does not count: it moves the deadline.
    uncounted: Duration,
    made: u32,
    /// Why the last complete one failed.
    last: Option<Error>,
    /// Whether one of them may have been carried out.
    unknown: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(http: &'a Http, attempts: u32, deadline: Instant) -> Self {
        let uncounted = Duration::ZERO;
        Self { http, attempts, deadline, uncounted, made: 0, last: None, unknown: false }
    }

    /// So much of what the tries themselves take is left out of the deadline, so that it bounds how
    /// long a service may be away, and not how long it may be at work.
    pub(crate) fn uncounted(mut self, uncounted: Duration) -> Self {
        self.uncounted = uncounted.min(FAR);
        self
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
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
        let begun = Instant::now();
        let tried = timeout_at(self.deadline + self.uncounted, attempt).await;
        let uncounted = begun.elapsed().min(self.uncounted);
        self.uncounted -= uncounted;
        self.deadline += uncounted;
        let failure = match tried {
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
