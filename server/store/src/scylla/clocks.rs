//! Clock readings, for what several servers do by their clocks.

use std::time::{Duration, Instant};

use super::connect::now_millis;

/// A minute, by which many lists are divided.
pub const MINUTE: i64 = 60_000;
/// A row that is listed by the minute in which it is written has to be written within this time, or
/// the writer treats it as not listed: its minute may be closed by then.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// A time by the wall clock, which can be set, and by the steady clock, which cannot.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    pub millis: i64,
    pub steady: Instant,
}

impl Clocks {
    pub fn now() -> Self {
        Self { millis: now_millis(), steady: Instant::now() }
    }

    /// How long ago it was, by the clock that says more: on a machine that was suspended, perhaps
    /// only one of the clocks went on.
    pub fn elapsed(self) -> Duration {
        let millis = u64::try_from(now_millis() - self.millis).unwrap_or(0);
        self.steady.elapsed().max(Duration::from_millis(millis))
    }

    /// Whether the wall clock has gone back since that time, by more than it may be wrong.
    pub fn is_put_back(self, since: Self, skew: Duration) -> bool {
        let steady = self.steady.saturating_duration_since(since.steady);
        let least = i64::try_from(steady.saturating_sub(skew).as_millis()).unwrap_or(i64::MAX);
        let skew = i64::try_from(skew.saturating_sub(steady).as_millis()).unwrap_or(i64::MAX);
        self.millis.saturating_sub(since.millis) < least.saturating_sub(skew)
    }
}
