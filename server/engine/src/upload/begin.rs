use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{
    JobId, limits,
    upload::{UploadId, UploadOutcome},
};
use jobtracker_store::{PageLimit, Store, TreeResultRow, TreeResultsQuery};

use super::{UploadSession, receiving::Receiving};
use crate::{Engine, Error, Result};

/// The answer to an upload that begins to come in.
#[derive(Debug)]
pub enum Begun {
    /// The upload was complete already: its outcome.
    Completed(UploadOutcome),
    /// The upload may come in.
    Session(Box<UploadSession>),
}

impl Engine {
    /// Begins to take in an upload, unless it is complete already.
    ///
    /// # Errors
    /// The same upload is coming in on another connection; the store cannot be asked.
    pub async fn begin_upload(&self, id: UploadId) -> Result<Begun> {
        let all = self.uploads_under_way();
        let store = self.store();
        if !all.lock().insert(id.clone()) {
            // The upload counts as being received until its completion is stored, or a little
            // longer.
            let completed = store.get_upload(&id).await?;
            let completed = completed.map(|row| Begun::Completed(row.outcome));
            return completed.ok_or(Error::CommitInProgress(id));
        }
        let receiving = Arc::new(Receiving { id: id.clone(), all });
        if let Some(row) = store.get_upload(&id).await? {
            return Ok(Begun::Completed(row.outcome));
        }
        let applied = applied(&*store, &id).await?;
        Ok(Begun::Session(Box::new(UploadSession::new(self.clone(), receiving, applied))))
    }

    /// Whether an upload is coming in now.
    #[must_use]
    pub fn is_receiving(&self, id: &UploadId) -> bool {
        self.uploads_under_way().lock().contains(id)
    }
}

/// The trees of an upload that were applied when it was sent before.
async fn applied(store: &dyn Store, id: &UploadId) -> Result<HashMap<JobId, TreeResultRow>> {
    let mut applied = HashMap::new();
    let (mut after, mut detailed) = (None, 0);
    loop {
        let limit = PageLimit::items(limits::PAGE);
        let query = TreeResultsQuery { upload: id.clone(), after, limit };
        let page = store.list_tree_results(query).await?;
        for mut row in page.items.into_iter().filter(|row| row.tree_result.is_applied()) {
            detailed += usize::from(row.tree_result.blocked > 0);
            if detailed > limits::RESULTS_SHOWN {
                // More are never shown, and there may be very many.
                row.tree_result.blocked_changes = Vec::new();
            }
            applied.insert(row.tree_result.root, row);
        }
        if page.next.is_none() {
            return Ok(applied);
        }
        after = page.next;
    }
}
