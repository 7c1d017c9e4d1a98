use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jobtracker_model::{JobId, Timestamp, upload::UploadId};
use tokio::sync::watch;

use super::{
    ScyllaOptions,
    checkpoint::Checkpoints,
    cluster::Cluster,
    commit::Commits,
    deletions::Deletions,
    documents::DocumentTables,
    ids::Ids,
    index::{self, IndexTables},
    keys::{self, listing},
    lease::Leases,
    open::{Open, stage_key},
    pinned::PinnedTree,
    removals::Removals,
    reservations::Reservations,
    roots::Roots,
    stages::Stages,
    tidy::Tidy,
    trees::{IdReservation, TreeCache},
    uploads::UploadTables,
    writes::Writes,
};
use crate::{
    Document, DocumentChange, DocumentId, DocumentKey, Documents, DocumentsQuery, Error, FollowUp,
    FollowUpKey, Health, IndexKey, IndexQuery, Indexes, Listed, Loaded, Result, Row, RowsQuery,
    Servers, StageId, Tombstone, TreeCommit, TreeResultRow, TreeResultsQuery, Trees, UploadRow,
    Uploads, Version, Wanted, commit::check_staged, view,
};

/// A store in a ScyllaDB or Cassandra cluster, which other servers may share.
pub struct ScyllaStore {
    indexes: Arc<IndexTables>,
    cluster: Arc<Cluster>,
    commits: Arc<Commits>,
    documents: DocumentTables,
    ids: Arc<Ids>,
    leases: Arc<Leases>,
    pub roots: Arc<Roots>,
    stages: Arc<Stages>,
    tidy: Arc<Tidy>,
    uploads: Arc<UploadTables>,
    closing: watch::Sender<bool>,
    max_clock_skew: Duration,
}

impl ScyllaStore {
    /// Connects to the cluster, and makes or checks the tables.
    ///
    /// # Errors
    /// The cluster cannot be reached, its clock is too far off, or the tables are missing or of
    /// another version.
    pub async fn open(options: &ScyllaOptions) -> Result<Self> {
        let cluster = Arc::new(Cluster::open(options).await?);
        let trees = Arc::new(TreeCache::new(Arc::clone(&cluster), options.tree_cache_bytes));
        let open = Arc::new(Open::new(Arc::clone(&cluster), options));
        let stages =
            Arc::new(Stages::new(Arc::clone(&cluster), Arc::clone(&trees), Arc::clone(&open)));
        let checkpoints = Arc::new(Checkpoints::new(
            Arc::clone(&cluster),
            Arc::clone(&trees),
            Arc::clone(&open),
            options,
        ));
        let ids = Arc::new(Ids::new(Arc::clone(&cluster)));
        let leases = Arc::new(Leases::new(Arc::clone(&cluster), open.server));
        let uploads = Arc::new(UploadTables::new(
            Arc::clone(&cluster),
            Arc::clone(&trees),
            Arc::clone(&checkpoints),
        ));
        let indexes = IndexTables::new(&cluster, &trees, options);
        let reservations = Arc::new(Reservations {
            cluster: Arc::clone(&cluster),
            trees: Arc::clone(&trees),
            stages: Arc::clone(&stages),
            ids: Arc::clone(&ids),
        });
        let roots = Roots::new(Arc::clone(&cluster), Arc::clone(&trees), Arc::clone(&reservations));
        let roots = Arc::new(roots);
        let (closing, closed) = watch::channel(false);
        let removals = Removals::new(&checkpoints, &roots);
        let deletions = Arc::new(Deletions::new(&open, removals, options, closed.clone()));
        let tidy = Arc::new(Tidy {
            cluster: Arc::clone(&cluster),
            trees: Arc::clone(&trees),
            open: Arc::clone(&open),
            stages: Arc::clone(&stages),
            checkpoints: Arc::clone(&checkpoints),
            leases: Arc::clone(&leases),
            deletions: Arc::clone(&deletions),
        });
        let commits = Arc::new(Commits {
            cluster: Arc::clone(&cluster),
            trees,
            reservations,
            stages: Arc::clone(&stages),
            open,
            checkpoints,
            roots: Arc::clone(&roots),
            indexes: Arc::clone(&indexes),
            uploads: Arc::clone(&uploads),
            deletions,
            patience: options.resolve_timeout,
        });
        tidy.begin(closed).await;
        Ok(Self {
            indexes,
            documents: DocumentTables::new(Arc::clone(&cluster)),
            cluster,
            commits,
            ids,
            leases,
            roots,
            stages,
            tidy,
            uploads,
            closing,
            max_clock_skew: options.max_clock_skew,
        })
    }

    /// Tidies up after dead servers, as one of the servers does every few seconds; answers how much
    /// was tidied.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn tidy(&self) -> Result<usize> {
        self.opened()?.tidy.tick().await
    }

    /// The store, unless it was closed.
    pub(super) fn opened(&self) -> Result<&Self> {
        match *self.closing.borrow() {
            true => Err(Error::Unavailable("it was closed".into())),
            false => Ok(self),
        }
    }

    /// The trees, unless the store was closed.
    pub(super) fn trees(&self) -> Result<&Arc<TreeCache>> {
        Ok(&self.opened()?.commits.trees)
    }

    async fn stage_rows(&self, stage: StageId, root: JobId, rows: &[Row]) -> Result<()> {
        let created = rows.iter().filter_map(|row| match row {
            Row::Job { id, origin, .. } => Some((*id, origin.parent)),
            _ => None,
        });
        let new: Vec<JobId> = created.clone().map(|(id, _)| id).collect();
        let of: Option<_> = rows.iter().map(Row::job).collect();
        let key = stage_key(stage.0);
        // A result belongs to no job.
        let of = of.unwrap_or_else(|| [JobId::MAX, root].into());
        let call = self.stages.call(stage, root, &new, &of)?;
        call.list(rows).await?;
        let reservations: Vec<IdReservation> = created
            .map(|(id, parent)| IdReservation {
                id,
                root,
                stage: key,
                parent: keys::parent(parent),
            })
            .collect();
        let taken = self.commits.reservations.reservation(&reservations, &HashSet::new()).await?;
        taken.refuse(root, reservations.iter().map(|reservation| reservation.id))?;
        let roots: Vec<_> = rows.iter().filter_map(super::commit::new_root).collect();
        if !roots.is_empty() {
            self.roots.note_roots(&roots, key).await?;
        }
        let mut writes = Writes::default();
        for row in rows {
            writes.add(key, row, 0, 0)?;
        }
        writes.flush(&self.cluster).await?;
        call.done();
        Ok(())
    }
}

#[async_trait]
impl Trees for ScyllaStore {
    async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        let trees = self.trees()?;
        let roots = wanted.tombstones.clone();
        let mut loaded = trees.load(wanted).await?;
        for root in roots {
            let tombstone = self.commits.deletions.removals.tombstone(root).await?;
            loaded.tombstones.extend(tombstone.map(|tombstone| (root, tombstone)));
        }
        Ok(loaded)
    }

    async fn list_rows(&self, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::list_rows(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn commit(&self, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        if let Err(error) = self.opened() {
            return commits.iter().map(|_| Err(error.clone())).collect();
        }
        let mut done: Vec<_> = Arc::clone(&self.commits).commit(commits).collect().await;
        done.sort_unstable_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, done)| done).collect()
    }

    fn commit_each(
        self: Arc<Self>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (usize, Result<()>)> {
        match self.opened() {
            Ok(_) => Arc::clone(&self.commits).commit(commits).boxed(),
            Err(error) => {
                let refused = (0..commits.len()).map(move |place| (place, Err(error.clone())));
                stream::iter(refused).boxed()
            }
        }
    }

    async fn stage(&self, stage: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        self.opened()?;
        check_staged(&rows)?;
        self.stage_rows(stage, root, &rows).await
    }

    fn discard(&self, stage: StageId) {
        self.stages.discard(stage);
    }

    fn is_leaving(&self, id: JobId) -> bool {
        self.stages.is_leaving(id)
    }

    async fn list_waiting(&self, query: RowsQuery) -> Result<Listed<(JobId, FollowUpKey), JobId>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::list_waiting(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn get_tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        self.opened()?.commits.deletions.removals.tombstone(root).await
    }

    fn removals(&self) -> usize {
        self.commits.deletions.under_way()
    }

    async fn commits_after(
        &self,
        root: JobId,
        version: Version,
    ) -> Result<(Version, Vec<TreeCommit>)> {
        let trees = self.trees()?;
        let tail = trees.refresh_log(&trees.tree(root)).await?;
        Ok(tail.map_or((0, Vec::new()), |tail| (tail.version, tail.commits_after(version))))
    }
}

#[async_trait]
impl Indexes for ScyllaStore {
    async fn list_index(
        &self,
        query: IndexQuery,
    ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        self.opened()?.indexes.list(query).await
    }

    fn index_parts(&self) -> u32 {
        index::PARTS
    }

    fn index_part(&self, root: JobId) -> u32 {
        index::part(root)
    }
}

#[async_trait]
impl Documents for ScyllaStore {
    async fn get_document(&self, id: &DocumentId) -> Result<Option<Document>> {
        self.opened()?.documents.get(id).await
    }

    async fn change_document(&self, change: DocumentChange) -> Result<()> {
        self.opened()?.documents.change(&change).await
    }

    async fn list_documents(&self, query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        self.opened()?.documents.list(&query).await
    }
}

#[async_trait]
impl Uploads for ScyllaStore {
    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        self.opened()?.uploads.complete(row, refused).await
    }

    async fn get_upload(&self, upload: &UploadId) -> Result<Option<UploadRow>> {
        self.opened()?.uploads.completed(upload).await
    }

    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>> {
        self.opened()?.uploads.list(query).await
    }

    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.opened()?.uploads.forget(before, limit).await
    }
}

#[async_trait]
impl Servers for ScyllaStore {
    fn is_shared(&self) -> bool {
        true
    }

    fn max_clock_skew(&self) -> Duration {
        self.max_clock_skew
    }

    async fn reserve_ids(&self, count: u32) -> Result<JobId> {
        self.opened()?.ids.reserve(count).await
    }

    async fn lease(&self, part: &str, time: Duration) -> Result<bool> {
        self.opened()?.leases.take(part, time).await
    }

    async fn get_uptime(&self) -> Result<Option<Vec<u8>>> {
        self.opened()?;
        let (list, slot, place, key) = listing::UPTIME;
        let statement = &self.cluster.statements.listed_at;
        let row: Option<(Option<Vec<u8>>,)> =
            self.cluster.row(statement, (list, slot, place, key)).await?;
        Ok(row.and_then(|(note,)| note))
    }

    async fn put_uptime(&self, note: Vec<u8>) -> Result<()> {
        self.opened()?;
        let (list, slot, place, key) = listing::UPTIME;
        let statement = &self.cluster.statements.put_listing;
        self.cluster.write(statement, (list, slot, place, key, Some(note))).await
    }
}

#[async_trait]
impl Health for ScyllaStore {
    async fn check(&self) -> Result<()> {
        self.opened()?;
        let statement = &self.cluster.statements.register;
        let _: Option<(Option<i64>,)> = self.cluster.row(statement, ("schema",)).await?;
        Ok(())
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut gauges = self.commits.trees.gauges();
        let removals = "Deleted trees that this server has still to remove.";
        gauges.push(("store_removals", removals, self.commits.deletions.under_way() as u64));
        gauges
    }

    async fn close(&self) {
        if self.closing.send_replace(true) {
            return;
        }
        self.stages.close().await;
        let left = async {
            self.commits.open.leave().await?;
            self.leases.leave().await
        };
        if let Err(error) = left.await {
            tracing::debug!(%error, "the others will find out that this server has gone");
        }
        self.cluster.close();
    }
}
