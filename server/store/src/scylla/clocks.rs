//! Moments, for what several servers do by their clocks.

use std::time::{Duration, Instant};

use super::connect::now_millis;

/// A minute, by which many lists are divided.
pub const MINUTE: i64 = 60_000;
/// What is listed by the minute in which it is written has to be written within this time, or is
/// taken for not listed: its minute may be closed by then.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// A moment by the clock that people set, and by the one that nobody does.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    pub millis: i64,
    pub steady: Instant,
}

impl Clocks {
    pub fn now() -> Self {
        Self { millis: now_millis(), steady: Instant::now() }
    }

    /// How long ago it was, by the clock that says more: on a machine that was halted perhaps one
    /// clock alone has gone on.
    pub fn elapsed(self) -> Duration {
        let millis = u64::try_from(now_millis() - self.millis).unwrap_or(0);
        self.steady.elapsed().max(Duration::from_millis(millis))
    }

    /// Whether the clock has gone back since that moment, by more than it may be wrong.
    pub fn is_put_back(self, since: Self, skew: Duration) -> bool {
        let steady = self.steady.saturating_duration_since(since.steady);
        let least = i64::try_from(steady.saturating_sub(skew).as_millis()).unwrap_or(i64::MAX);
        let skew = i64::try_from(skew.saturating_sub(steady).as_millis()).unwrap_or(i64::MAX);
        self.millis.saturating_sub(since.millis) < least.saturating_sub(skew)
    }
}
