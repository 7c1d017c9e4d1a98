use async_trait::async_trait;
use jobtracker_model::{Delivery, JobId, Page, Replayed, Timestamp};

use super::stream;
use crate::{ItemStream, ListPage, Result};

/// Notices to receivers, and what has become of them: a part of a
/// [`JobTracker`](crate::JobTracker).
///
/// A delivery is made at least once, with the same id on every try.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// A page of the deliveries of a job, oldest first.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn deliveries(&self, id: JobId, page: ListPage) -> Result<Page<Delivery>>;

    /// [`deliveries`](Self::deliveries) one by one; pages are fetched as they are needed.
    fn deliveries_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Delivery> {
        stream::items(page.cursor, move |cursor| {
            self.deliveries(id, ListPage { limit: page.limit, cursor })
        })
    }

    /// A page of the deliveries of all jobs that were given up in a range of time, both ends
    /// included, oldest first.
    ///
    /// # Errors
    /// `invalid_cursor`: the cursor goes with the same range.
    async fn failed_deliveries(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: ListPage,
    ) -> Result<Page<Delivery>>;

    /// [`failed_deliveries`](Self::failed_deliveries) one by one; pages are fetched as they are
    /// needed.
    fn failed_deliveries_stream(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: ListPage,
    ) -> ItemStream<'_, Delivery> {
        stream::items(page.cursor, move |cursor| {
            self.failed_deliveries(from, to, ListPage { limit: page.limit, cursor })
        })
    }

    /// Has a delivery sent again at once, in any state. Durable. Every call asks for
    /// another try, and so may a call that has to send its request twice.
    ///
    /// # Errors
    /// `delivery_not_found`.
    async fn replay_delivery(&self, delivery: &str) -> Result<()>;

    /// Has a delivery not tried any more; a try that is under way goes on. Durable, and safe to
    /// repeat.
    ///
    /// # Errors
    /// `delivery_not_found`, `delivery_is_over` for one that was received.
    async fn cancel_delivery(&self, delivery: &str) -> Result<()>;

    /// Has everything sent again that was given up in a range of time, both ends included; up to
    /// 10,000 at once. Durable, and safe to repeat.
    ///
    /// # Errors
    /// The service does not answer; some may have been replayed then.
    async fn replay_failed(&self, from: Timestamp, to: Timestamp) -> Result<Replayed>;
}
