use std::{
    future,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use crate::inner::Inner;

/// After a flush that failed, the next one in the background comes no sooner.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Flushes in the background, by count, size or time, as long as the context lives.
pub(crate) async fn run(inner: Weak<Inner>, wake: Arc<Notify>, every: Option<Duration>) {
    loop {
        let due = every.and_then(|every| Instant::now().checked_add(every));
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = wake.notified() => {}
            () = due => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        // Refused trees stay until the caller takes them.
        if inner.budget.pending().operations <= inner.refused_cost().operations {
            continue;
        }
        let flushed = Arc::clone(&inner).flush_unasked().await;
        drop(inner);
        if let Err(error) = flushed {
            tracing::warn!(%error, "a flush in the background failed; it will be tried again");
            sleep(AFTER_FAILURE).await;
            wake.notify_one();
        }
    }
}
