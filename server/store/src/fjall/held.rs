use std::sync::Arc;

use async_trait::async_trait;
use jobtracker_model::JobId;

use super::{
    lasting::Lasting,
    view::{Instant, SnapshotView},
};
use crate::{Held, Listed, Result, Row, RowsQuery, view};

/// A snapshot that outlasts one read.
pub struct HeldSnapshot {
    lasting: Arc<Lasting>,
    instant: Instant,
}

impl HeldSnapshot {
    /// Holds the present.
    pub async fn new(lasting: &Arc<Lasting>) -> Result<Self> {
        let present = async |rows: &SnapshotView<'_>| Ok(rows.instant());
        let instant = lasting.readers.ask(present).await?;
        Ok(Self { lasting: Arc::clone(lasting), instant })
    }
}

#[async_trait]
impl Held for HeldSnapshot {
    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        let list = async move |rows: &SnapshotView<'_>| view::list_rows(rows, &query).await;
        self.lasting.readers.ask_at(Some(self.instant.clone()), list).await
    }
}
