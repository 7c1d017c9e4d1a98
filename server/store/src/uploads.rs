use async_trait::async_trait;
use jobtracker_model::{JobId, Timestamp, upload::UploadId};

use crate::{After, Listed, PageLimit, Result, TreeResultRow, UploadRow};

/// Uploads, and the results on their trees. That a tree was applied is a row of the commit that
/// applied it.
#[async_trait]
pub trait Uploads: Send + Sync + 'static {
    /// Writes the results of the refused trees of an upload, then that each of its trees has a
    /// result. A tree that was applied keeps that result. Durable, and may be repeated; after an
    /// error some of it may be there, but not the completion.
    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()>;

    /// An upload, if it is complete.
    async fn get_upload(&self, commit: &UploadId) -> Result<Option<UploadRow>>;

    /// Results on the trees of an upload, applied and refused.
    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>>;

    /// Forgets uploads that were sent before that time: results and completions of up to `limit`
    /// of them, oldest first. Answers how many; an upload that was sent twice counts twice.
    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize>;
}

/// Results on the trees of an upload, by root.
#[derive(Debug, Clone)]
pub struct TreeResultsQuery {
    /// The upload.
    pub upload: UploadId,
    /// Behind this root.
    pub after: After,
    /// The size of the page.
    pub limit: PageLimit,
}
