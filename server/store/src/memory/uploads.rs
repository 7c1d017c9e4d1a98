use async_trait::async_trait;
use jobtracker_model::{JobId, Timestamp, upload::UploadId};

use super::{MemoryStore, rows::Rows};
use crate::{Listed, Result, TreeResultRow, TreeResultsQuery, UploadRow, Uploads, view};

#[async_trait]
impl Uploads for MemoryStore {
    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        self.open_mut()?.rows.complete_upload(row, refused);
        Ok(())
    }

    async fn get_upload(&self, commit: &UploadId) -> Result<Option<UploadRow>> {
        self.read(async |rows| Ok(rows.completed(commit)))
    }

    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>> {
        self.read(async |rows| view::list_tree_results(rows, &query).await)
    }

    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize> {
        Ok(self.open_mut()?.rows.forget(before, limit))
    }
}

impl Rows {
    /// Puts a result, which replaces an earlier one.
    pub(super) fn put_tree_result(&mut self, upload: UploadId, row: TreeResultRow) {
        self.sent.insert((row.time, upload.clone()));
        self.tree_results.insert((upload, row.tree_result.root), row);
    }

    /// Puts the results of trees that were not applied, then the completion.
    pub(super) fn complete_upload(&mut self, row: UploadRow, refused: Vec<TreeResultRow>) {
        let upload = row.outcome.id.clone();
        for tree_result in refused {
            let place = (upload.clone(), tree_result.tree_result.root);
            let before = self.tree_results.get(&place);
            if !before.is_some_and(|before| before.tree_result.is_applied()) {
                self.put_tree_result(upload.clone(), tree_result);
            }
        }
        self.sent.insert((row.time, upload.clone()));
        self.commits.insert(upload, row);
    }

    /// Forgets the oldest uploads that were sent before a time. One that was sent again takes the
    /// rows of its own time with it and no newer ones.
    pub(super) fn forget(&mut self, before: Timestamp, limit: usize) -> usize {
        let due = self.sent.iter().take_while(|(time, _)| *time < before).take(limit);
        let due: Vec<_> = due.cloned().collect();
        for sent in &due {
            let (time, upload) = sent;
            self.tree_results.retain(|(of, _), row| of != upload || row.time > *time);
            if self.commits.get(upload).is_some_and(|row| row.time <= *time) {
                self.commits.remove(upload);
            }
            self.sent.remove(sent);
        }
        due.len()
    }
}
