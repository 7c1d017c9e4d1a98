use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Error, Result, RetryPolicy, rate::RateLimit, reply::Failure};

/// Stands for "never" where the clock would overflow.
pub(crate) const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// An upload that is turned away again and again is given up when it has sent this many bytes in
/// vain, or, if that is more, a multiple of its size. A service that is being replaced turns
/// uploads away when they have hardly begun, and may do so until the deadline.
const IN_VAIN: u64 = 64 * 1024 * 1024;
const TIMES: u64 = 4;

/// What an upload has sent, before it is compressed.
#[derive(Default)]
struct Sent {
    /// In the try that is made.
    now: Arc<AtomicU64>,
    most: u64,
    in_vain: u64,
}

/// The tries of one call: how many there may be and until when, and what became of them.
pub(crate) struct Tries<'a> {
    policy: &'a RetryPolicy,
    rate_limit: Option<&'a RateLimit>,
    attempts: u32,
    deadline: Instant,
    /// How much of the time that the tries take does not count: it moves the deadline.
    uncounted: Duration,
    /// How much of what is sent may be in vain.
    sent: Sent,
    made: u32,
    /// Why the last complete one failed.
    last: Option<Error>,
    /// Whether one of them may have been carried out.
    unknown: bool,
}

impl<'a> Tries<'a> {
    /// As many tries as the policy has, until the deadline.
    pub(crate) fn new(
        policy: &'a RetryPolicy,
        rate_limit: Option<&'a RateLimit>,
        deadline: Instant,
    ) -> Self {
        Self {
            policy,
            rate_limit,
            attempts: policy.attempts,
            deadline,
            uncounted: Duration::ZERO,
            sent: Sent::default(),
            made: 0,
            last: None,
            unknown: false,
        }
    }

    /// One try, under any policy.
    pub(crate) fn once(mut self) -> Self {
        self.attempts = 1;
        self
    }

    /// How much of the tries' own time is left out of the deadline, so that the deadline bounds how
    /// long a service may be away, and not how long it may be at work.
    pub(crate) fn uncounted(mut self, uncounted: Duration) -> Self {
        self.uncounted = uncounted.min(FAR);
        self
    }

    /// Counts the bytes that the next try sends.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent.now)
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
        let turn = match self.rate_limit {
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
        let is_spent = self.sent.is_spent_by(&error);
        if self.made >= self.attempts || !error.is_retryable() || is_spent {
            return Err(error);
        }
        let pause = self.policy.pause(self.made, failure.retry_after, rand::random());
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

impl Sent {
    /// A try has failed so. Whether there should be no other one, since this upload has been
    /// answered, and turned away, often enough.
    fn is_spent_by(&mut self, error: &Error) -> bool {
        let now = self.now.swap(0, Relaxed);
        self.most = self.most.max(now);
        let is_answer = matches!(error, Error::Problem { .. } | Error::InvalidReply { .. });
        self.in_vain += if is_answer { now } else { 0 };
        self.in_vain >= IN_VAIN.max(self.most.saturating_mul(TIMES))
    }
}
