//! When any server was up: silence counts only while a server could receive reports.

use std::time::Duration;

use jobtracker_engine::Outages;
use jobtracker_model::{Timestamp, limits};
use jobtracker_store::{Result, Servers};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock;

/// How often a server notes that it is up.
const EVERY: Duration = Duration::from_secs(2);
/// The pause before a server reads again what was noted.
const PAUSE: Duration = Duration::from_millis(500);
/// After this long without a note, no server was up; what clocks may differ is added to it.
const MISSED: Duration = Duration::from_secs(6);
/// Reporting programs need some time to find that a server is up again.
const BACK: Duration = Duration::from_secs(10);
/// Outages that are kept; past this number the oldest are dropped.
const OUTAGES: usize = 1_000;

/// What servers note in the store. In JSON, so that fields can be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// When a server was last up.
    last: Timestamp,
    /// When no server was up.
    outages: Vec<(Timestamp, Timestamp)>,
}

/// What this server knows of the outages.
#[derive(Debug, Default)]
pub(crate) struct Uptime(Mutex<Option<Note>>);

impl Uptime {
    /// The known outages.
    pub fn outages(&self) -> Outages {
        let note = self.0.lock();
        Outages::new(note.as_ref().map_or(&[], |note| &note.outages))
    }

    /// Notes that this server is up, and the outage that ends with it; tries again if the store
    /// does not answer what was noted before. Ends at the latest when the service stops.
    pub async fn begin(&self, store: &dyn Servers, stopping: &mut watch::Receiver<bool>) {
        // An embedded store has one server, and that server was not up until now.
        let missed = if store.is_shared() { missed(store) } else { Duration::ZERO };
        while let Err(error) = self.beat(store, clock::now(), missed).await {
            tracing::warn!(%error, "it is not known since when no server was up");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Repeats the note until the service stops.
    pub async fn go_on(&self, store: &dyn Servers, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            if let Err(error) = self.beat(store, clock::now(), missed(store)).await {
                tracing::debug!(%error, "it is not noted that this server is up");
            }
        }
    }

    async fn beat(&self, store: &dyn Servers, now: Timestamp, missed: Duration) -> Result<()> {
        let noted = store.get_uptime().await?;
        // A note that cannot be parsed is from a later version, or damaged: it is replaced.
        let noted = noted.and_then(|note| serde_json::from_slice::<Note>(&note).ok());
        let known = noted.or_else(|| self.0.lock().clone());
        let note = next(known, now, missed);
        *self.0.lock() = Some(note.clone());
        let bytes = serde_json::to_vec(&note).expect("times can be written");
        store.put_uptime(bytes).await
    }
}

/// The length of a gap between notes after which no server was up. Each server has its own clock.
fn missed(store: &dyn Servers) -> Duration {
    MISSED + store.max_clock_skew() * 2
}

fn next(known: Option<Note>, now: Timestamp, missed: Duration) -> Note {
    let Some(Note { last, mut outages }) = known else {
        return Note { last: now, outages: Vec::new() };
    };
    if last.after(missed) < now {
        outages.push((last, now.after(BACK)));
        // An outage soon after another one extends it.
        outages.dedup_by(|later, earlier| {
            let is_one = later.0 <= earlier.1;
            if is_one {
                earlier.1 = earlier.1.max(later.1);
            }
            is_one
        });
        let oldest = now.before(Duration::from_millis(limits::QUIET_MS));
        outages.retain(|(_, over)| *over >= oldest);
        outages.drain(..outages.len().saturating_sub(OUTAGES));
    }
    // A server whose clock is behind does not take back what another server has noted.
    Note { last: last.max(now), outages }
}

#[cfg(test)]
mod tests {
    use jobtracker_store::{
        Health,
        fjall::{FjallOptions, FjallStore},
    };

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000).unwrap()
    }

    #[test]
    fn an_outage_is_what_no_server_noted() {
        let mut note = next(None, at(100), Duration::ZERO);
        assert_eq!(note, Note { last: at(100), outages: vec![] });
        for seconds in [102, 104, 109] {
            note = next(Some(note), at(seconds), MISSED);
        }
        assert_eq!(note, Note { last: at(109), outages: vec![] });
        note = next(Some(note), at(117), MISSED);
        assert_eq!(note.outages, [(at(109), at(127))]);
        // The servers are down again before all programs were back.
        note = next(Some(note), at(118), Duration::ZERO);
        assert_eq!(note.outages, [(at(109), at(128))]);
        // An outage that begins before all programs were back extends the one before, too.
        note = next(Some(note), at(200), MISSED);
        assert_eq!(note.outages, [(at(109), at(210))]);
        for seconds in [205, 211, 300] {
            note = next(Some(note), at(seconds), MISSED);
        }
        assert_eq!(note.outages, [(at(109), at(210)), (at(211), at(310))]);
    }

    /// Two servers that are up, one with a clock that is 9 s fast, each of which overwrites what
    /// the other has noted.
    #[test]
    fn clocks_that_differ_are_no_outage() {
        let skewed = MISSED + Duration::from_secs(5) * 2;
        let slow = next(None, at(100), skewed);
        for seconds in [100, 102, 104] {
            let fast = next(Some(slow.clone()), at(seconds + 9), skewed);
            assert_eq!(fast, Note { last: at(seconds + 9), outages: vec![] });
        }
        let after = next(Some(slow), at(117), skewed);
        assert_eq!(after.outages, [(at(100), at(127))], "longer than any two clocks differ");
    }

    #[test]
    fn old_outages_are_forgotten() {
        let days = |days: i64| at(days * 86_400);
        let mut note = next(None, days(0), MISSED);
        for day in 1..=40 {
            note = next(Some(note), days(day), MISSED);
        }
        assert!(note.outages.len() <= 31, "{note:?}");
        for outage in 0..2 * OUTAGES as i64 {
            // The servers are up for as long as it takes until all programs are back, then down.
            for seconds in [0, 5, 10, 15] {
                let now = at(50 * 86_400 + outage * 60 + seconds);
                note = next(Some(note), now, MISSED);
            }
        }
        assert_eq!(note.outages.len(), OUTAGES);
    }

    #[tokio::test]
    async fn what_is_noted_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        let (store, before) = (open(), Uptime::default());
        before.beat(&store, at(100), Duration::ZERO).await.unwrap();
        before.beat(&store, at(102), MISSED).await.unwrap();
        store.close().await;
        drop(store);
        let (store, after) = (open(), Uptime::default());
        after.beat(&store, at(110), Duration::ZERO).await.unwrap();
        let noted = after.0.lock().clone().unwrap();
        assert_eq!(noted, Note { last: at(110), outages: vec![(at(102), at(120))] });
        store.close().await;
    }
}
