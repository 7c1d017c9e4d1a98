use std::sync::Arc;

use jobtracker_model::JobId;
use jobtracker_store::{Result, Row, StageId, Store};

/// Rows that are put aside in the store. Whoever lets go of it has them thrown away, unless a commit
/// has adopted them.
pub(crate) struct Stage {
    store: Arc<dyn Store>,
    root: JobId,
    pub id: StageId,
}

impl Stage {
    /// Opens one for a tree, under a name that no other stage has.
    pub fn open(store: &Arc<dyn Store>, root: JobId) -> Self {
        Self { store: Arc::clone(store), root, id: StageId(rand::random()) }
    }

    /// Puts more rows aside.
    pub async fn put(&self, rows: Vec<Row>) -> Result<()> {
        self.store.stage(self.id, self.root, rows).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.store.discard(self.id);
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stage").field(&self.id).finish()
    }
}
