use std::{ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{BoxStream, FuturesUnordered},
};
use jobtracker_model::{
    AttachmentInfo, Change, JobId, LogLine, State, Timestamp, upload::UploadId,
};
use jobtracker_store::{
    BlockerRow, BlockersQuery, ChangesQuery, ChildPage, ChildrenQuery, DescendantsQuery, Document,
    DocumentChange, DocumentId, DocumentKey, Documents, DocumentsQuery, FollowUp, FollowUpKey,
    FollowUpsQuery, Health, Held, IndexKey, IndexQuery, Indexes, JobPlaces, JobRow, Jobs, Listed,
    Loaded, LogQuery, Result, RootKey, RootsQuery, Row, RowsQuery, SampleQuery, Servers,
    ShapeQuery, StageId, Store, Tombstone, TreeCommit, TreeResultRow, TreeResultsQuery, Trees,
    UploadRow, Uploads, Version, Wanted,
};

/// What a test does to calls on their way to a store; what it leaves alone goes through.
#[async_trait]
pub trait Hooks: Send + Sync + 'static {
    /// See [`Trees::load`].
    async fn load(&self, store: &dyn Store, wanted: Wanted) -> Result<Loaded> {
        store.load(wanted).await
    }

    /// See [`Trees::look_up`].
    async fn look_up(&self, store: &dyn Store, wanted: Wanted) -> Result<Loaded> {
        store.look_up(wanted).await
    }

    /// See [`Trees::commit`]. Where each commit is answered as soon as it is known, this is called
    /// for each of them.
    async fn commit(&self, store: &dyn Store, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        store.commit(commits).await
    }

    /// See [`Trees::stage`].
    async fn stage(
        &self,
        store: &dyn Store,
        stage: StageId,
        root: JobId,
        rows: Vec<Row>,
    ) -> Result<()> {
        store.stage(stage, root, rows).await
    }

    /// See [`Trees::list_rows`].
    async fn list_rows(&self, store: &dyn Store, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        store.list_rows(query).await
    }

    /// See [`Trees::hold`].
    async fn hold(&self, store: &dyn Store) -> Result<Option<Arc<dyn Held>>> {
        store.hold().await
    }

    /// See [`Servers::is_shared`].
    fn is_shared(&self, store: &dyn Store) -> bool {
        store.is_shared()
    }

    /// See [`Servers::lease`].
    async fn lease(&self, store: &dyn Store, part: &str, time: Duration) -> Result<bool> {
        store.lease(part, time).await
    }
}

/// A store behind hooks.
pub struct Through<H> {
    store: Arc<dyn Store>,
    hooks: H,
}

impl<H: Hooks> Through<H> {
    /// The store behind these hooks.
    pub fn new(store: Arc<dyn Store>, hooks: H) -> Arc<Self> {
        Arc::new(Self { store, hooks })
    }

    /// It as a store.
    pub fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        Arc::clone(self) as Arc<dyn Store>
    }

    /// The store, past the hooks.
    pub fn inner(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl<H> Deref for Through<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.hooks
    }
}

#[async_trait]
impl<H: Hooks> Trees for Through<H> {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        self.hooks.load(&*self.store, wanted).await
    }

    async fn look_up(&self, wanted: Wanted) -> Result<Loaded> {
        self.hooks.look_up(&*self.store, wanted).await
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        self.hooks.commit(&*self.store, commits).await
    }

    fn commit_each(
        self: Arc<Self>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (usize, Result<()>)> {
        let each = commits.into_iter().enumerate().map(|(place, commit)| {
            let store = Arc::clone(&self);
            async move { (place, store.commit(vec![commit]).await.remove(0)) }
        });
        each.collect::<FuturesUnordered<_>>().boxed()
    }

    async fn commits_after(
        &self,
        root: JobId,
        version: Version,
    ) -> Result<(Version, Vec<TreeCommit>)> {
        self.store.commits_after(root, version).await
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        self.hooks.list_rows(&*self.store, query).await
    }

    async fn hold(&self) -> Result<Option<Arc<dyn Held>>> {
        self.hooks.hold(&*self.store).await
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        self.hooks.stage(&*self.store, stage, root, rows).await
    }

    fn discard(&self, stage: StageId) {
        self.store.discard(stage);
    }

    fn is_leaving(&self, id: JobId) -> bool {
        self.store.is_leaving(id)
    }

    async fn list_waiting(&self, query: RowsQuery) -> Result<Listed<(JobId, FollowUpKey), JobId>> {
        self.store.list_waiting(query).await
    }

    async fn get_tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        self.store.get_tombstone(root).await
    }

    async fn forget_tombstones(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.store.forget_tombstones(now, limit).await
    }

    fn removals(&self) -> usize {
        self.store.removals()
    }
}

/// Implements a family by the inner store.
macro_rules! through {
    ($family:ident {
        $(async fn $ask:ident($($name:ident: $of:ty),*) -> $answer:ty;)*
        $(fn $tell:ident($($known:ident: $as:ty),*) -> $told:ty;)*
    }) => {
        #[async_trait]
        impl<H: Hooks> $family for Through<H> {
            $(async fn $ask(&self, $($name: $of),*) -> $answer {
                self.store.$ask($($name),*).await
            })*
            $(fn $tell(&self, $($known: $as),*) -> $told {
                self.store.$tell($($known),*)
            })*
        }
    };
}

through!(Jobs {
    async fn get_job(id: JobId) -> Result<Option<JobRow>>;
    async fn get_states(ids: Vec<JobId>) -> Result<Vec<State>>;
    async fn list_ancestors(id: JobId) -> Result<Vec<JobRow>>;
    async fn get_places(id: JobId) -> Result<JobPlaces>;
    async fn list_children(query: ChildrenQuery) -> Result<ChildPage>;
    async fn list_descendants(query: DescendantsQuery) -> Result<Listed<JobRow, JobId>>;
    async fn list_blockers(query: BlockersQuery) -> Result<Listed<BlockerRow, JobId>>;
    async fn get_shape(query: ShapeQuery) -> Result<Vec<JobRow>>;
    async fn sample_children(query: SampleQuery) -> Result<Vec<JobRow>>;
    async fn list_changes(query: ChangesQuery) -> Result<Listed<Change, u32>>;
    async fn list_log(query: LogQuery) -> Result<Listed<LogLine, u32>>;
    async fn list_attachments(id: JobId) -> Result<Vec<AttachmentInfo>>;
    async fn get_attachment(id: JobId, key: &str) -> Result<Option<String>>;
    async fn list_follow_ups(
        query: FollowUpsQuery
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>>;
    async fn list_roots(query: RootsQuery) -> Result<Listed<JobRow, RootKey>>;
});

through!(Indexes {
    async fn list_index(query: IndexQuery) -> Result<Listed<(IndexKey, FollowUp), IndexKey>>;
    fn index_parts() -> u32;
    fn index_part(root: JobId) -> u32;
});

through!(Documents {
    async fn get_document(id: &DocumentId) -> Result<Option<Document>>;
    async fn change_document(change: DocumentChange) -> Result<()>;
    async fn list_documents(query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>>;
});

through!(Uploads {
    async fn complete_upload(row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()>;
    async fn get_upload(upload: &UploadId) -> Result<Option<UploadRow>>;
    async fn list_tree_results(query: TreeResultsQuery) -> Result<Listed<TreeResultRow, JobId>>;
    async fn forget_uploads(before: Timestamp, limit: usize) -> Result<usize>;
});

#[async_trait]
impl<H: Hooks> Servers for Through<H> {
    fn is_shared(&self) -> bool {
        self.hooks.is_shared(&*self.store)
    }

    fn max_clock_skew(&self) -> Duration {
        self.store.max_clock_skew()
    }

    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        self.store.reserve_ids(count).await
    }

    async fn lease(&self, part: &str, time: Duration) -> Result<bool> {
        self.hooks.lease(&*self.store, part, time).await
    }

    async fn get_uptime(&self) -> Result<Option<Vec<u8>>> {
        self.store.get_uptime().await
    }

    async fn put_uptime(&self, note: Vec<u8>) -> Result<()> {
        self.store.put_uptime(note).await
    }
}

through!(Health {
    async fn check() -> Result<()>;
    async fn close() -> ();
    fn is_alive() -> bool;
    fn gauges() -> Vec<(&'static str, &'static str, u64)>;
});
