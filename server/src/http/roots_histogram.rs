use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jobtracker_model::{Histogram, ProblemCode, Subtree, Timestamp, limits};
use jobtracker_store::PageLimit;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    filtered::CHUNK,
    problem::{ApiError, Result},
    roots_filter::wanted,
    roots_scan::{STEPS_MAX, Scan},
};
use crate::{
    access::{NoPlace, Principal, Share, Shares},
    clock,
};

/// How long viewers of the same roots share a histogram at least.
const SHARED: Duration = Duration::from_secs(5);
/// It is shared for ten times as long as it took, so that making it anew is a tenth of the work of
/// a processor at most.
const TIMES: u32 = 10;
/// Histograms that are kept; of more, the one that was begun first is forgotten.
const KEPT: usize = 64;
/// Histograms that are made at once; others wait.
const AT_ONCE: usize = 2;
/// Histograms that are made or wait, and those of one caller; of more, none is begun.
const BEGUN: usize = 16;
const BEGUN_EACH: usize = 4;

/// Histograms of roots, which viewers share.
pub(crate) struct Histograms {
    kept: Mutex<VecDeque<(Key, Making)>>,
    places: Arc<Semaphore>,
    begun: Arc<Shares>,
}

/// Filters of roots, and how many buckets.
pub(super) type Key = (Vec<u8>, usize);
type Making = Shared<BoxFuture<'static, Result<Made>>>;

#[derive(Clone)]
struct Made {
    histogram: Arc<Histogram>,
    until: Instant,
}

impl Histograms {
    pub fn new() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { kept: Mutex::default(), places, begun: Shares::new(BEGUN, BEGUN_EACH) }
    }

    /// The histogram of a scan, if need be made now. It is made to its end even if its viewer has
    /// gone, for those that come.
    pub(super) async fn get(&self, caller: &Principal, key: Key, scan: Scan) -> Result<Histogram> {
        let buckets = key.1;
        let making = {
            let mut kept = self.kept.lock();
            let now = Instant::now();
            kept.retain(|(_, making)| match making.peek() {
                Some(Ok(made)) => made.until > now,
                Some(Err(_)) => false,
                None => true,
            });
            let known = kept.iter().find(|(known, _)| *known == key);
            match known {
                Some((_, making)) => making.clone(),
                None => {
                    let making = self.make(
                        self.begun.take(caller).map_err(|none| full(&none))?,
                        scan,
                        buckets,
                    );
                    kept.push_front((key, making.clone()));
                    kept.truncate(KEPT);
                    making
                }
            }
        };
        Ok((*making.await?.histogram).clone())
    }

    fn make(&self, begun: Share, scan: Scan, buckets: usize) -> Making {
        let places = Arc::clone(&self.places);
        let work = tokio::spawn(async move {
            let _begun = begun;
            let _place = places.acquire().await.map_err(|error| ApiError::internal(&error))?;
            let start = Instant::now();
            let histogram = Arc::new(scan.histogram(buckets).await?);
            let until = Instant::now() + SHARED.max(start.elapsed() * TIMES);
            Ok(Made { histogram, until })
        });
        let made = async { work.await.map_err(|error| ApiError::internal(&error))? };
        made.boxed().shared()
    }
}

fn full(none: &NoPlace) -> ApiError {
    let detail = match none {
        NoPlace::ForCaller(each) => {
            format!("{each} histograms are made for this caller; wait for one of them.")
        }
        NoPlace::AtAll => format!("{BEGUN} histograms are made."),
    };
    ApiError::new(ProblemCode::Overloaded, detail)
}

impl Scan {
    /// Counts the matches by time, looking at up to [`limits::ROOTS_COUNTED`] of the newest roots.
    async fn histogram(&self, buckets: usize) -> Result<Histogram> {
        let rows_max = self.filter.rows_max(limits::ROOTS_COUNTED, STEPS_MAX);
        let (mut read, mut after, mut counted_from) = (0, None, None);
        let mut found = Vec::new();
        loop {
            let limit = PageLimit::items(CHUNK.min(rows_max - read));
            let chunk = self.chunk(after, limit).await?;
            read += chunk.items.len();
            let oldest = chunk.items.last().map(|row| row.status.create_time);
            let wanted = wanted(&self.filter, chunk.items).await?;
            found.extend(wanted.iter().map(|row| (row.status.create_time, row.status.state)));
            after = chunk.next;
            if after.is_none() {
                break;
            }
            if read >= rows_max {
                counted_from = oldest;
                break;
            }
        }
        let time = clock::now();
        let to = if self.to == Timestamp::MAX { time } else { self.to };
        let first = found.last().map_or(to, |(time, _)| *time);
        let from = if self.from == Timestamp::MIN { first } else { self.from };
        let span = to.millis().saturating_sub(from.millis()).max(1).cast_unsigned();
        let width_ms = span.div_ceil(buckets as u64);
        let mut counted = vec![Subtree::default(); buckets];
        for (time, state) in found {
            let place = time.millis().saturating_sub(from.millis()).max(0).cast_unsigned();
            let place = usize::try_from(place / width_ms).unwrap_or(usize::MAX);
            // A root of another server's clock may be newer than this one's present.
            counted[place.min(buckets - 1)].count(state);
        }
        Ok(Histogram { time, from, width_ms, buckets: counted, counted_from })
    }
}
