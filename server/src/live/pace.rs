use std::time::Duration;

use jobtracker_engine::{Error, Result};
use jobtracker_model::FieldError;
use tokio::time::{Instant, sleep_until};

/// The slowest pace, in milliseconds.
const SLOWEST: u32 = 60_000;

/// How often a subscription is told a snapshot at most.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    told: Option<Instant>,
}

impl Pace {
    /// With this time in milliseconds from one to the next; none: as fast as they come.
    ///
    /// # Errors
    /// It is too long.
    pub fn new(every_ms: Option<u32>) -> Result<Self> {
        let every_ms = every_ms.unwrap_or(0);
        if every_ms > SLOWEST {
            let reason = format!("must be at most {SLOWEST}");
            return Err(Error::Field(FieldError::new("everyMs", reason)));
        }
        Ok(Self { every: Duration::from_millis(every_ms.into()), told: None })
    }

    /// Another pace from here on.
    pub fn change(&mut self, every_ms: u32) -> Result<()> {
        *self = Self { told: self.told, ..Self::new(Some(every_ms))? };
        Ok(())
    }

    /// Whether a snapshot may be told now.
    pub fn is_due(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= self.every)
    }

    /// Ends when it may.
    pub async fn due(&self) {
        if let Some(told) = self.told {
            sleep_until(told + self.every).await;
        }
    }

    /// One is told.
    pub fn tell(&mut self) {
        self.told = Some(Instant::now());
    }
}
