use std::time::Duration;

use jobtracker_model::{JobId, StateSet, Waited, limits};
use tokio::time::{Instant, sleep};

use crate::{JobTracker, Result};

/// The longest time that one request waits.
pub(crate) const LONGEST: Duration = Duration::from_millis(limits::WAIT_MS);
/// A service that is about to stop may answer a wait too soon; this keeps the loop from spinning.
const AFTER_EARLY_ANSWER: Duration = Duration::from_millis(250);

/// Waits until a job is finished, by as many requests as it takes.
pub(crate) async fn finished<T>(tracker: &T, id: JobId, timeout: Duration) -> Result<Waited>
where
    T: JobTracker + ?Sized,
{
    let begin = Instant::now();
    loop {
        let asked = timeout.saturating_sub(begin.elapsed()).min(LONGEST);
        let sent = Instant::now();
        let waited = tracker.wait(id, StateSet::FINISHED, asked).await?;
        let left = timeout.saturating_sub(begin.elapsed());
        if waited.reached || left.is_zero() {
            return Ok(waited);
        }
        if sent.elapsed() < asked {
            sleep(AFTER_EARLY_ANSWER.min(left)).await;
        }
    }
}
