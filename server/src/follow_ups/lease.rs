use std::time::{Duration, Instant};

use jobtracker_store::{Result, Servers};
use parking_lot::Mutex;

/// How long a server has a part, and how often it renews the lease.
const LEASED: Duration = Duration::from_secs(10);
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(3);

/// The exclusive right to do the follow-ups of one part of the index.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    /// When the lease was last requested with success.
    given: Mutex<Option<Instant>>,
}

impl Lease {
    pub fn of(part: u32) -> Self {
        Self { name: format!("follow-ups {part}"), given: Mutex::default() }
    }

    /// Whether no other server does this part.
    pub fn holds(&self) -> bool {
        self.given_within(LEASED)
    }

    /// Requests or renews the lease, when that is due; answers whether it is held.
    pub async fn keep(&self, store: &dyn Servers) -> Result<bool> {
        if self.given_within(ASK_AGAIN) {
            return Ok(true);
        }
        let asked = Instant::now();
        let given = store.lease(&self.name, LEASED).await?;
        *self.given.lock() = given.then_some(asked);
        Ok(given)
    }

    fn given_within(&self, time: Duration) -> bool {
        self.given.lock().is_some_and(|given| given.elapsed() < time)
    }
}
