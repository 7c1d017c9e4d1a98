use std::{collections::HashSet, io, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jobtracker_model::{
    JobId, JobNode, Page,
    upload::{TreeResult, UploadId, UploadOutcome},
};

use super::stream;
use crate::{ItemStream, ListPage, Result};

/// What an upload consists of, as often as it has to be sent.
pub trait UploadSource: Send + Sync + 'static {
    /// The stream from its begin, in the format of [`upload`](jobtracker_model::upload), without
    /// the trees whose roots are in `applied`. Not compressed; in chunks of some 64 to 256 KiB.
    ///
    /// Each call makes a stream of its own. A tree has the same bytes in each of them: the service
    /// knows a tree that it has seen before by their checksum. A source that cannot go on says so
    /// with an error: the upload is broken off then and begun again, as when the connection breaks.
    /// A stream that just ended too early would be refused for good.
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>>;
}

/// Whole trees, which are put together elsewhere and sent at once: a part of a
/// [`JobTracker`](crate::JobTracker).
#[async_trait]
pub trait Uploads: Send + Sync {
    /// A job and all above it as the roll-up sees them, at one instant: the job first, the root
    /// last. At most 65, so they come at once.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn path(&self, id: JobId) -> Result<Vec<JobNode>>;

    /// Sends an upload: new jobs and changes for any number of trees, of each of which all becomes
    /// visible at one instant, or nothing.
    ///
    /// An upload has up to 2,000,000 new jobs, 100,000 trees and 1 GiB, unless the service is set
    /// up otherwise. `Ok` says what became of it; trees may have been refused. What was applied is
    /// durable then. The client sends what has not arrived again, after asking what has; and the
    /// whole call is safe to repeat with the same id and source, for as long as the service
    /// remembers uploads (a day at least): a tree that was applied is not applied again. A call
    /// that is dropped leaves each tree applied or not; [`upload_outcome`](Self::upload_outcome)
    /// tells, and so does sending it again.
    ///
    /// # Errors
    /// `invalid_commit` with the record, `commit_conflict` if the id was used for something else,
    /// `commit_too_large`, `other_rules`. Trees before the mistake may have been applied.
    async fn upload(&self, id: &UploadId, source: Arc<dyn UploadSource>) -> Result<UploadOutcome>;

    /// What has become of an upload, if the service remembers it. While it is still coming in, or
    /// when it has broken off, it is not `complete`.
    async fn upload_outcome(&self, id: &UploadId) -> Result<Option<UploadOutcome>>;

    /// A page of the results of the trees of an upload, in the order of their roots.
    ///
    /// # Errors
    /// `commit_not_found`, `invalid_cursor`.
    async fn upload_trees(&self, id: &UploadId, page: ListPage) -> Result<Page<TreeResult>>;

    /// [`upload_trees`](Self::upload_trees) one by one; pages are fetched as they are needed.
    fn upload_trees_stream(&self, id: &UploadId, page: ListPage) -> ItemStream<'_, TreeResult> {
        let id = id.clone();
        stream::items(page.cursor, move |cursor| {
            let (id, limit) = (id.clone(), page.limit);
            async move { self.upload_trees(&id, ListPage { limit, cursor }).await }
        })
    }
}
