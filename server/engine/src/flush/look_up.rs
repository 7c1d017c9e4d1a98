use std::time::Duration;

use jobtracker_store::{Error, Loaded, Result, Store, Wanted};

/// How often a look-up is tried, and the pause after a try for which the store had no room: a
/// second in all.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads for an upload, behind all other reads that wait. An upload can wait, and does not fail
/// because many lists are being read.
pub async fn look_up(store: &dyn Store, wanted: Wanted) -> Result<Loaded> {
    for _ in 1..TRIES {
        match store.look_up(wanted.clone()).await {
            Err(Error::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
    store.look_up(wanted).await
}
