use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{BoxStream, FuturesUnordered},
};
use jobtracker_model::{
    AttachmentInfo, Blocker, Change, JobId, LogLine, State, Timestamp, upload::UploadId,
};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Document, DocumentChange,
    DocumentId, DocumentKey, Documents, DocumentsQuery, Error, FollowUp, FollowUpKey,
    FollowUpsQuery, IndexKey, IndexQuery, JobRow, Listed, Loaded, LogQuery, Result, RootKey,
    RootsQuery, Row, RowsQuery, SampleQuery, ShapeQuery, StageId, Store, TreeCommit, TreeResultRow,
    TreeResultsQuery, UploadRow, Wanted, memory::MemoryStore,
};
use tokio::sync::Semaphore;

/// The memory store with a gate in front of its commits: each group needs a permit, or each tree of
/// it when servers share the store, and while `failing` is set it is refused. Another gate is in
/// front of its loads.
pub struct Gate {
    pub store: Arc<MemoryStore>,
    pub permits: Semaphore,
    pub loads: Semaphore,
    /// Has a permit for each commit that has reached the gate.
    pub came: Semaphore,
    pub failing: parking_lot::Mutex<Option<Error>>,
    /// The number of look-ups for which there is no room.
    pub no_room: AtomicUsize,
    /// How often a commit yields, so that several are under way at once.
    pub patience: usize,
    /// How long a commit takes to the store; if set, the store counts as shared by servers.
    pub way: Option<Duration>,
}

impl Gate {
    pub fn closed() -> Arc<Self> {
        Self::new(0, 0)
    }

    /// A gate that is open and slow.
    pub fn slow(patience: usize) -> Arc<Self> {
        Self::new(1_000_000, patience)
    }

    /// A gate with this delay before a store that other servers use as well.
    pub fn far(store: &Arc<MemoryStore>, way: Duration) -> Arc<Self> {
        let gate = Self { way: Some(way), ..Self::over(Arc::clone(store), 1_000_000) };
        Arc::new(gate)
    }

    /// A closed gate before a store that other servers use as well.
    pub fn shared() -> Arc<Self> {
        let (loads, way) = (Semaphore::new(0), Some(Duration::ZERO));
        Arc::new(Self { loads, way, ..Self::over(Arc::new(MemoryStore::new()), 0) })
    }

    fn new(permits: usize, patience: usize) -> Arc<Self> {
        let store = Arc::new(MemoryStore::new());
        Arc::new(Self { patience, ..Self::over(store, permits) })
    }

    fn over(store: Arc<MemoryStore>, permits: usize) -> Self {
        let (permits, came) = (Semaphore::new(permits), Semaphore::new(0));
        let failing = parking_lot::Mutex::default();
        let loads = Semaphore::new(1_000_000);
        let no_room = AtomicUsize::new(0);
        Self { store, permits, loads, came, failing, no_room, patience: 0, way: None }
    }

    pub fn open(&self) {
        self.permits.add_permits(1_000_000);
    }

    async fn pass(&self, trees: usize) {
        let permits = if self.is_shared() { trees } else { 1 };
        let permits = u32::try_from(permits).unwrap();
        self.permits.acquire_many(permits).await.unwrap().forget();
    }
}

#[async_trait]
impl Documents for Gate {
    async fn get_document(&self, id: &DocumentId) -> Result<Option<Document>> {
        self.store.get_document(id).await
    }

    async fn change_document(&self, change: DocumentChange) -> Result<()> {
        self.store.change_document(change).await
    }

    async fn list_documents(&self, query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        self.store.list_documents(query).await
    }
}

#[async_trait]
impl Store for Gate {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        self.loads.acquire().await.unwrap().forget();
        self.store.load(wanted).await
    }

    async fn look_up(&self, wanted: Wanted) -> Result<Loaded> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.no_room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Err(Error::Unavailable("too many reads are waiting".into())),
            Err(_) => self.store.look_up(wanted).await,
        }
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        self.came.add_permits(1);
        self.pass(commits.len()).await;
        for _ in 0..self.patience {
            tokio::task::yield_now().await;
        }
        if let Some(way) = self.way {
            tokio::time::sleep(way).await;
        }
        let failing = self.failing.lock().clone();
        match failing {
            Some(error) => commits.iter().map(|_| Err(error.clone())).collect(),
            None => self.store.commit(commits).await,
        }
    }

    fn commit_each(
        self: Arc<Self>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (usize, Result<()>)> {
        let each = commits.into_iter().enumerate().map(|(place, commit)| {
            let gate = Arc::clone(&self);
            async move { (place, gate.commit(vec![commit]).await.remove(0)) }
        });
        each.collect::<FuturesUnordered<_>>().boxed()
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        self.store.stage(stage, root, rows).await
    }

    fn discard(&self, stage: StageId) {
        self.store.discard(stage);
    }

    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        self.store.complete_upload(row, refused).await
    }

    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.store.forget_uploads(before, limit).await
    }

    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        self.store.reserve_ids(count).await
    }

    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.store.get_job(id).await
    }

    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        self.store.get_states(ids).await
    }

    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        self.store.list_ancestors(id).await
    }

    async fn list_children(&self, query: ChildrenQuery) -> Result<Listed<JobRow, JobId>> {
        self.store.list_children(query).await
    }

    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        self.store.list_descendants(query).await
    }

    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<Blocker, JobId>> {
        self.store.list_blockers(query).await
    }

    async fn get_shape(&self, query: ShapeQuery) -> Result<Vec<JobRow>> {
        self.store.get_shape(query).await
    }

    async fn sample_children(&self, query: SampleQuery) -> Result<Vec<JobRow>> {
        self.store.sample_children(query).await
    }

    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        self.store.list_changes(query).await
    }

    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        self.store.list_log(query).await
    }

    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        self.store.list_attachments(id).await
    }

    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        self.store.get_attachment(id, key).await
    }

    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        self.store.list_roots(query).await
    }

    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        self.store.list_follow_ups(query).await
    }

    async fn list_index(
        &self,
        query: IndexQuery,
    ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        self.store.list_index(query).await
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.store.list_rows(query).await
    }

    async fn get_upload(&self, commit: &UploadId) -> Result<Option<UploadRow>> {
        self.store.get_upload(commit).await
    }

    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>> {
        self.store.list_tree_results(query).await
    }

    fn is_shared(&self) -> bool {
        self.way.is_some()
    }

    async fn check(&self) -> Result<()> {
        self.store.check().await
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.store.gauges()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
