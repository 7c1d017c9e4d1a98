use std::{collections::VecDeque, sync::Arc, sync::Mutex, time::Duration};

use async_trait::async_trait;
use jobtracker_model::{
    AttachmentInfo, Blocker, Change, JobId, LogLine, State, Timestamp, upload::UploadId,
};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Document, DocumentChange,
    DocumentId, DocumentKey, Documents, DocumentsQuery, Error, FollowUp, FollowUpKey,
    FollowUpsQuery, IndexKey, IndexQuery, JobRow, Listed, Loaded, LogQuery, Result, RootKey,
    RootsQuery, Row, RowsQuery, SampleQuery, ShapeQuery, StageId, Store, TreeCommit, TreeResultRow,
    TreeResultsQuery, UploadRow, Wanted,
};

use tokio::sync::Semaphore;

use super::now;

/// A store that records its calls, and that changes or fails on request.
pub struct Watched {
    store: Arc<dyn Store>,
    /// The changes to make after each page of rows, one at a time.
    meddling: Mutex<VecDeque<Meddle>>,
    turn: tokio::sync::Mutex<()>,
    /// How the next calls that change the store answer: that they failed, or that the outcome is
    /// unknown, though they succeeded.
    pub failing: Mutex<VecDeque<Fail>>,
    pub most: Mutex<Most>,
}

/// What other clients do to the store meanwhile.
pub enum Meddle {
    /// They create a tree.
    Plant(TreeCommit),
    /// They append a line to the log of a root.
    Append(JobId),
}

/// The answer of a commit or a stage.
pub enum Fail {
    Not,
    Unavailable,
    Unknown,
    /// The usual answer, once the call is let go on.
    Waits {
        came: Arc<Semaphore>,
        goes_on: Arc<Semaphore>,
    },
}

/// The largest number of each kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Most {
    pub listed: usize,
    pub staged: usize,
    pub committed: usize,
    pub stages: usize,
}

impl Watched {
    pub fn new(store: &Arc<dyn Store>, meddling: impl IntoIterator<Item = Meddle>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            meddling: Mutex::new(meddling.into_iter().collect()),
            turn: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
            most: Mutex::default(),
        })
    }

    pub fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        Arc::clone(self) as Arc<dyn Store>
    }

    /// How many changes are left.
    pub fn left(&self) -> usize {
        self.meddling.lock().unwrap().len()
    }

    async fn meddle(&self) {
        // Pages are read concurrently, and two concurrent appends would conflict.
        let _one = self.turn.lock().await;
        // Others come while this read has its turn, and wait for it: one that is not polled on with
        // the turn in its hands would stop all of them.
        tokio::task::yield_now().await;
        let next = self.meddling.lock().unwrap().pop_front();
        let commit = match next {
            None => return,
            Some(Meddle::Plant(tree)) => tree,
            Some(Meddle::Append(root)) => self.append(root).await,
        };
        self.store.commit(vec![commit]).await.remove(0).unwrap();
    }

    async fn append(&self, root: JobId) -> TreeCommit {
        let wanted = Wanted { paths: [root].into(), ..Wanted::default() };
        let loaded = self.store.load(wanted).await.unwrap();
        let mut status = loaded.nodes[&root].status.clone();
        let line = LogLine { line: status.log_lines, time: now(), text: "meanwhile".into() };
        let before = Some(status.state);
        status.log_lines += 1;
        let rows = vec![
            Row::LogLine { id: root, line },
            Row::Status { id: root, parent: None, before, status },
        ];
        TreeCommit { root, expected: loaded.versions[&root], rows, publishes: None }
    }

    fn next_failure(&self) -> Fail {
        self.failing.lock().unwrap().pop_front().unwrap_or(Fail::Not)
    }
}

#[async_trait]
impl Documents for Watched {
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
impl Store for Watched {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        self.store.load(wanted).await
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        let rows = commits.iter().map(|commit| commit.rows.len()).sum();
        self.most.lock().unwrap().committed.max_with(rows);
        let trees = commits.len();
        match self.next_failure() {
            Fail::Not => self.store.commit(commits).await,
            Fail::Unavailable => vec![Err(Error::Unavailable("a test".into())); trees],
            Fail::Waits { came, goes_on } => {
                came.add_permits(1);
                goes_on.acquire().await.unwrap().forget();
                self.store.commit(commits).await
            }
            Fail::Unknown => {
                self.store.commit(commits).await;
                vec![Err(Error::OutcomeUnknown("a test".into())); trees]
            }
        }
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        {
            let mut most = self.most.lock().unwrap();
            most.staged.max_with(rows.len());
            most.stages += 1;
        }
        match self.next_failure() {
            Fail::Not => self.store.stage(stage, root, rows).await,
            _ => Err(Error::Unavailable("a test".into())),
        }
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
        let page = self.store.list_rows(query).await;
        if let Ok(page) = &page {
            self.most.lock().unwrap().listed.max_with(page.items.len());
        }
        self.meddle().await;
        page
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
        self.store.is_shared()
    }

    async fn lease(&self, part: &str, time: Duration) -> Result<bool> {
        self.store.lease(part, time).await
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

trait MaxWith {
    fn max_with(&mut self, other: Self);
}

impl MaxWith for usize {
    fn max_with(&mut self, other: Self) {
        *self = other.max(*self);
    }
}
