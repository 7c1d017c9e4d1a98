use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::time::{Instant, sleep};

/// Lets a number of requests pass per second and makes the others wait.
pub(crate) struct RateLimit {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl RateLimit {
    pub(crate) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { limiter: RateLimiter::direct(quota), clock: DefaultClock::default() }
    }

    /// Waits for the turn of one request. False at once when that would be after the deadline.
    pub(crate) async fn turn(&self, deadline: Instant) -> bool {
        // Governor's own waiting would not know the deadline. Others may take the place that was
        // waited for, so ask again; each round the deadline comes nearer.
        while let Err(not_yet) = self.limiter.check() {
            let wait = not_yet.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
            if deadline.saturating_duration_since(Instant::now()) < wait {
                return false;
            }
            sleep(wait).await;
        }
        true
    }
}
