use std::time::Duration;

/// How often and how patiently a call is tried again.
///
/// Every request of this client is safe to repeat, so every one is: after connection errors and
/// time-outs, after the statuses 408, 429, 502, 503 and 504, and after problems whose code is
/// transient. Other answers are final.
///
/// Before try n + 1 the client waits a random time between nothing and
/// `base_backoff` × 2^(n − 1), but never more than `max_backoff` ("full jitter"). If the answer
/// said when to come back (`retryAfterMs`, or else `Retry-After`), it waits that long first,
/// even beyond `max_backoff`. The overall deadline of the call bounds it all, and by default
/// nothing else does: a service that is restarted or replaced is gone for seconds, and the number
/// of tries in that time says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first one included; 0 is taken as 1. Without a bound by default.
    pub attempts: u32,
    /// Upper bound of the first wait.
    pub base_backoff: Duration,
    /// Upper bound of every wait that the service does not ask for.
    pub max_backoff: Duration,
}

impl RetryPolicy {
    /// One try and no other.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How long to wait after `tries` tries have failed. `random` is from 0 to 1.
    pub(crate) fn pause(&self, tries: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let ceiling = self.base_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        // Not `mul_f64`: it panics when rounding passes the largest duration.
        let jitter = Duration::try_from_secs_f64(ceiling.as_secs_f64() * random).unwrap_or(ceiling);
        retry_after.unwrap_or_default().saturating_add(jitter)
    }
}

/// As many tries as there is time for, with waits of up to 50 ms, 100 ms, 200 ms, and so on to 2 s.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: u32::MAX,
            base_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_the_largest_one() {
        let policy = RetryPolicy { attempts: 9, base_backoff: 10 * MS, max_backoff: 50 * MS };
        let longest: Vec<_> = (1..=5).map(|tries| policy.pause(tries, None, 1.0)).collect();
        assert_eq!(longest, [10 * MS, 20 * MS, 40 * MS, 50 * MS, 50 * MS]);
        assert_eq!(policy.pause(3, None, 0.5), 20 * MS);
        assert_eq!(policy.pause(3, None, 0.0), Duration::ZERO);
    }

    #[test]
    fn what_the_service_asks_for_comes_before_the_jitter() {
        let policy = RetryPolicy { attempts: 9, base_backoff: 10 * MS, max_backoff: 50 * MS };
        assert_eq!(policy.pause(1, Some(700 * MS), 0.0), 700 * MS);
        assert_eq!(policy.pause(1, Some(700 * MS), 1.0), 710 * MS);
    }

    #[test]
    fn extreme_numbers_do_not_overflow() {
        let policy = RetryPolicy {
            attempts: u32::MAX,
            base_backoff: Duration::MAX,
            max_backoff: Duration::MAX,
        };
        assert_eq!(policy.pause(u32::MAX, Some(Duration::MAX), 1.0), Duration::MAX);
        assert_eq!(policy.pause(0, None, 0.0), Duration::ZERO);
    }
}
