use std::{collections::VecDeque, sync::Arc, time::Duration};

use jobtracker_engine::{Engine, Load};
use jobtracker_model::{
    FollowUpLoad, OperationLoad, Overview, RequestLoad, StoreLoad, Timestamp, ViewerLoad,
};
use jobtracker_store::Store;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::{clock, follow_ups, metrics::Metrics};

/// The time from one count to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Counts that are kept: rates are over this many times [`EVERY`].
const KEPT: usize = 10;

/// How this server is, from its memory.
pub(crate) struct Overviews {
    engine: Engine,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    follow_ups: Arc<follow_ups::Parts>,
    started: Timestamp,
    /// What had been done at some times, the last one last.
    counts: Mutex<VecDeque<Count>>,
}

/// What has been done up to some time.
#[derive(Debug, Clone, Copy)]
struct Count {
    at: Instant,
    operations: u64,
    requests: u64,
}

impl Overviews {
    pub fn new(
        engine: &Engine,
        store: &Arc<dyn Store>,
        metrics: &Arc<Metrics>,
        follow_ups: &Arc<follow_ups::Parts>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: engine.clone(),
            store: Arc::clone(store),
            metrics: Arc::clone(metrics),
            follow_ups: Arc::clone(follow_ups),
            started: clock::now(),
            counts: Mutex::default(),
        })
    }

    /// Counts, until the service stops.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            {
                let mut counts = self.counts.lock();
                counts.push_back(self.count());
                let more = counts.len().saturating_sub(KEPT);
                counts.drain(..more);
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Deliveries and checks.
    pub fn follow_ups(&self) -> FollowUpLoad {
        let metrics = &self.follow_ups.metrics;
        let (due, under_way) = metrics.load(self.store.index_parts());
        let (delivered, failed) = metrics.ended();
        FollowUpLoad { due, under_way, delivered, failed }
    }

    fn count(&self) -> Count {
        let (operations, requests) = (self.engine.load().operations, self.metrics.ended());
        Count { at: Instant::now(), operations, requests }
    }

    /// The present, with these viewers.
    pub fn get(&self, viewers: ViewerLoad) -> Overview {
        let (now, first) = (self.count(), self.counts.lock().front().copied());
        let rate = |number: fn(&Count) -> u64| first.map_or(0, |first| now.rate(&first, number));
        let Load { waiting, refused, .. } = self.engine.load();
        let in_flight = u64::try_from(self.metrics.in_flight()).unwrap_or(0);
        Overview {
            time: clock::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            operations: OperationLoad { per_minute: rate(|it| it.operations), waiting, refused },
            requests: RequestLoad { per_minute: rate(|it| it.requests), in_flight },
            viewers,
            follow_ups: self.follow_ups(),
            store: store_load(&*self.store),
        }
    }
}

impl Count {
    /// How much was done a minute since an earlier count.
    fn rate(&self, since: &Self, number: fn(&Self) -> u64) -> u64 {
        let millis = self.at.duration_since(since.at).max(EVERY).as_millis();
        let done = number(self).saturating_sub(number(since));
        u64::try_from(u128::from(done) * 60_000 / millis).unwrap_or(u64::MAX)
    }
}

/// The store, from the numbers that it has for the metrics page.
fn store_load(store: &dyn Store) -> StoreLoad {
    let gauges = store.gauges();
    let gauge = |name: &str| {
        let found = gauges.iter().find(|(known, ..)| *known == name);
        found.map(|(_, _, value)| *value)
    };
    let bytes = gauge("store_table_bytes").zip(gauge("store_journal_bytes"));
    StoreLoad {
        is_alive: store.is_alive(),
        is_shared: store.is_shared(),
        jobs: gauge("store_jobs"),
        bytes: bytes.map(|(tables, journals)| tables + journals),
        free_bytes: gauge("store_free_bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_done_in_the_time() {
        let at = Instant::now();
        let first = Count { at, operations: 100, requests: 7 };
        let count = |millis, operations| Count {
            at: at + Duration::from_millis(millis),
            operations,
            requests: 7,
        };
        assert_eq!(count(2_000, 150).rate(&first, |it| it.operations), 1_500);
        assert_eq!(count(3_000, 101).rate(&first, |it| it.operations), 20);
        assert_eq!(count(2_000, 150).rate(&first, |it| it.requests), 0);
        // Just started: no time has passed.
        assert_eq!(count(0, 101).rate(&first, |it| it.operations), 60);
    }
}
