use std::{future::poll_fn, sync::Arc, task::Poll};

use futures_util::future::BoxFuture;
use jobtracker_model::JobId;
use jobtracker_store::{Result, Row, StageId, Store};

/// Rows that are staged in the store. Dropping the stage discards them, unless a commit has
/// published them.
///
/// The store takes one part while the next one is being made.
pub(crate) struct Stage {
    store: Arc<dyn Store>,
    root: JobId,
    pub id: StageId,
    under_way: Option<BoxFuture<'static, Result<()>>>,
}

impl Stage {
    /// Opens a stage for a tree, under an id that no other stage has.
    pub fn open(store: &Arc<dyn Store>, root: JobId) -> Self {
        let id = StageId(rand::random());
        Self { store: Arc::clone(store), root, id, under_way: None }
    }

    /// Stages more rows, after those before them. On return the rows may still be on their way.
    pub async fn put(&mut self, rows: Vec<Row>) -> Result<()> {
        self.settle().await?;
        let (store, id, root) = (Arc::clone(&self.store), self.id, self.root);
        let mut putting: BoxFuture<'static, Result<()>> =
            Box::pin(async move { store.stage(id, root, rows).await });
        let begun = poll_fn(|context| Poll::Ready(putting.as_mut().poll(context))).await;
        match begun {
            Poll::Ready(done) => done,
            Poll::Pending => {
                self.under_way = Some(putting);
                Ok(())
            }
        }
    }

    /// Waits until all rows are staged.
    pub async fn settle(&mut self) -> Result<()> {
        match self.under_way.take() {
            Some(putting) => putting.await,
            None => Ok(()),
        }
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
