use async_trait::async_trait;
use jobtracker_model::{AttachmentInfo, Change, JobId, LogLine, State, Timestamp};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{documents::DocumentRows, ids::Ids, rows::Rows};
use crate::{
    BlockerRow, BlockersQuery, ChangesQuery, ChildPage, ChildrenQuery, DescendantsQuery, Document,
    DocumentChange, DocumentId, DocumentKey, Documents, DocumentsQuery, Error, FollowUp,
    FollowUpKey, FollowUpsQuery, Health, IndexKey, IndexQuery, Indexes, JobPlaces, JobRow, Jobs,
    Listed, Loaded, LogQuery, Result, RootKey, RootsQuery, Row, RowsQuery, SampleQuery, Servers,
    ShapeQuery, StageId, Tombstone, TreeCommit, Trees, Wanted,
    commit::check_staged,
    view::{self, SparseIndexes, View},
};

/// A store in memory. It keeps nothing: dropping it loses every job.
#[derive(Debug, Default)]
pub struct MemoryStore {
    held: RwLock<Held>,
    indexes: SparseIndexes,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub rows: Rows,
    ids: Ids,
    documents: DocumentRows,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the rows of one instant. Reads are short, so they are done on the caller's thread.
    pub(super) fn read<T>(&self, read: impl AsyncFnOnce(&Rows) -> Result<T>) -> Result<T> {
        view::at_once(read(&self.open()?.rows))
    }

    pub(super) fn open(&self) -> Result<RwLockReadGuard<'_, Held>> {
        let held = self.held.read();
        if held.closed { Err(closed()) } else { Ok(held) }
    }

    pub(super) fn open_mut(&self) -> Result<RwLockWriteGuard<'_, Held>> {
        let held = self.held.write();
        if held.closed { Err(closed()) } else { Ok(held) }
    }
}

fn closed() -> Error {
    Error::Unavailable("it was closed".into())
}

#[async_trait]
impl Trees for MemoryStore {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        self.read(async |rows| view::load(rows, &wanted).await)
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        match self.open_mut() {
            Ok(mut held) => commits.into_iter().map(|tree| held.rows.commit(tree)).collect(),
            Err(error) => vec![Err(error); commits.len()],
        }
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        check_staged(&rows)?;
        self.open_mut()?.rows.stage_rows(stage, root, rows)
    }

    fn discard(&self, stage: StageId) {
        self.held.write().rows.stages.remove(&stage);
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.read(async |rows| view::list_rows(rows, &query).await)
    }

    async fn list_waiting(&self, query: RowsQuery) -> Result<Listed<(JobId, FollowUpKey), JobId>> {
        self.read(async |rows| view::list_waiting(rows, &query).await)
    }

    async fn get_tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        self.read(async |rows| rows.tombstone(root).await)
    }

    async fn forget_tombstones(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.indexes.clear();
        Ok(self.open_mut()?.rows.forget_tombstones(now, limit))
    }

    fn removals(&self) -> usize {
        0
    }
}

#[async_trait]
impl Jobs for MemoryStore {
    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.read(async |rows| rows.job(id).await)
    }

    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        self.read(async |rows| view::get_states(rows, &ids).await)
    }

    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        self.read(async |rows| view::list_ancestors(rows, id).await)
    }

    async fn get_places(&self, id: JobId) -> Result<JobPlaces> {
        loop {
            let read = async |rows: &_| view::get_path(rows, id, &self.indexes).await;
            if let Some(places) = self.read(read)? {
                return Ok(places);
            }
        }
    }

    async fn list_children(&self, query: ChildrenQuery) -> Result<ChildPage> {
        loop {
            let read = async |rows: &_| view::list_children(rows, &query, &self.indexes).await;
            if let Some(page) = self.read(read)? {
                return Ok(page);
            }
        }
    }

    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        self.read(async |rows| view::list_descendants(rows, &query).await)
    }

    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<BlockerRow, JobId>> {
        self.read(async |rows| view::list_blockers(rows, &query).await)
    }

    async fn get_shape(&self, query: ShapeQuery) -> Result<Vec<JobRow>> {
        self.read(async |rows| view::get_shape(rows, &query).await)
    }

    async fn sample_children(&self, query: SampleQuery) -> Result<Vec<JobRow>> {
        self.read(async |rows| view::sample_children(rows, &query).await)
    }

    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        self.read(async |rows| view::list_changes(rows, &query).await)
    }

    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        self.read(async |rows| view::list_log(rows, &query).await)
    }

    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        self.read(async |rows| view::list_attachments(rows, id).await)
    }

    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        self.read(async |rows| rows.attachment(id, key).await)
    }

    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        self.read(async |rows| view::list_follow_ups(rows, &query).await)
    }

    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        self.read(async |rows| view::list_roots(rows, &query).await)
    }
}

#[async_trait]
impl Indexes for MemoryStore {
    async fn list_index(
        &self,
        query: IndexQuery,
    ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        self.read(async |rows| view::list_index(rows, &query).await)
    }
}

#[async_trait]
impl Documents for MemoryStore {
    async fn get_document(&self, id: &DocumentId) -> Result<Option<Document>> {
        Ok(self.open()?.documents.get(id))
    }

    async fn change_document(&self, change: DocumentChange) -> Result<()> {
        self.open_mut()?.documents.change(change)
    }

    async fn list_documents(&self, query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        Ok(self.open()?.documents.list(&query))
    }
}

#[async_trait]
impl Servers for MemoryStore {
    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        let mut held = self.open_mut()?;
        let Held { rows, ids, .. } = &mut *held;
        ids.reserve(count, rows)
    }
}

#[async_trait]
impl Health for MemoryStore {
    async fn check(&self) -> Result<()> {
        self.open().map(drop)
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let rows = &self.held.read().rows;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        vec![
            ("store_jobs", "Jobs in the store", count(rows.origins.len())),
            ("store_trees", "Trees in the store", count(rows.versions.len())),
            ("store_stages", "Trees staged", count(rows.stages.len())),
        ]
    }

    async fn close(&self) {
        self.held.write().closed = true;
    }
}
