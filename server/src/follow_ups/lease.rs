use std::time::{Duration, Instant};

use jobtracker_store::{Result, Store};
use parking_lot::Mutex;

/// How long a server keeps a part to itself, and how often it asks for it.
const LEASED: Duration = Duration::from_secs(10);
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(3);

/// The sole right to look after one part of the list.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    /// When it was asked for, the last time that it was given.
    given: Mutex<Option<Instant>>,
}

impl Lease {
    pub fn of(part: u32) -> Self {
        Self { name: format!("follow-ups {part}"), given: Mutex::default() }
    }

    /// Whether nobody else looks after the part.
    pub fn holds(&self) -> bool {
        self.given_within(LEASED)
    }

    /// Asks for it, or for more of it, when that is due; answers whether it is held.
    pub async fn keep(&self, store: &dyn Store) -> Result<bool> {
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
