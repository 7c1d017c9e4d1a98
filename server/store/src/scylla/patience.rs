//! How long an action is tried, and how often.

use std::time::Duration;

use tokio::time::Instant;

/// The time for what is tried until it works. Between two tries is a pause, which doubles.
pub struct Patience {
    end: Instant,
    pause: Duration,
    pause_max: Duration,
}

impl Patience {
    /// Tries for this time, with pauses of these lengths at first and at most.
    pub fn new(time: Duration, (pause, pause_max): (Duration, Duration)) -> Self {
        Self { end: Instant::now() + time, pause, pause_max }
    }

    /// Waits before the next try; false, at once, when there is no time left for one.
    pub async fn wait(&mut self) -> bool {
        let pause = self.pause;
        if Instant::now() + pause > self.end {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.pause = (pause * 2).min(self.pause_max);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tries_become_rarer_and_have_an_end() {
        let millis = Duration::from_millis;
        let mut patience = Patience::new(Duration::from_secs(60), (millis(1), millis(6)));
        let mut pauses = Vec::new();
        for _ in 0..4 {
            assert!(patience.wait().await);
            pauses.push(patience.pause.as_millis());
        }
        assert_eq!(pauses, [2, 4, 6, 6]);
        let mut patience = Patience::new(millis(1), (millis(60_000), millis(60_000)));
        assert!(!patience.wait().await, "there is no time left for a pause");
    }
}
