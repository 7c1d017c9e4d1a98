use async_trait::async_trait;
use jobtracker_model::{AttachmentInfo, JobId};

use crate::Result;

/// Texts that are kept with a job, each under a key: a part of a
/// [`JobTracker`](crate::JobTracker).
#[async_trait]
pub trait Attachments: Send + Sync {
    /// The keys and sizes of a job's attachments, in the order of the keys. At most 64, so they
    /// come at once.
    async fn attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>>;

    /// The text of an attachment.
    ///
    /// # Errors
    /// `attachment_not_found`, `job_not_found`.
    async fn attachment(&self, id: JobId, key: &str) -> Result<String>;

    /// Attaches a text of up to 64 KiB to a job, in the place of the one that had the key. Of two
    /// callers at once the last to arrive wins; safe to repeat otherwise.
    ///
    /// # Errors
    /// `job_not_found`, `too_many_attachments` past 64, `invalid_field` for a key that is not 1
    /// to 128 of `A-Z a-z 0-9 . _ -`.
    async fn put_attachment(&self, id: JobId, key: &str, text: String) -> Result<()>;

    /// Takes an attachment away.
    ///
    /// # Errors
    /// `attachment_not_found`, unless an earlier try of this call may have taken it away.
    async fn delete_attachment(&self, id: JobId, key: &str) -> Result<()>;
}
