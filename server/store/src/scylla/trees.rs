//! The trees that a server remembers, and how it refreshes their heads.

use std::{hash::RandomState, sync::Arc};

use futures_util::FutureExt;
use jobtracker_model::JobId;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, UnitWeighter, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{
    cluster::Cluster,
    failure, keys,
    open::stage_key,
    redo::{Name, Redo},
    tail::Tail,
    tree::{HeadRefresh, Tree},
};
use crate::{Error, Origin, Result, StageId, Version, view::SparseIndexes};

/// Tries to refresh the head of a log that moves on each time it is read.
const REFRESHES: usize = 100;
/// Trees without jobs that are remembered.
const EMPTY: usize = 1_000;
/// Memory that the location of one job takes, about.
const PLACE_BYTES: u64 = 120;
/// Locations that have not been asked for again may take this part of the room. A tree that has
/// just been made is asked for once, job by job, so it has to fit here as a whole.
const NEW_PLACES: f64 = 0.5;

/// Where a job is kept. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    pub origin: Origin,
    pub stage: i64,
}

impl Location {
    /// The reservation that has come true here.
    pub fn reservation(&self, id: JobId) -> IdReservation {
        let Origin { root, parent, .. } = self.origin;
        IdReservation { id, root, stage: self.stage, parent: keys::parent(parent) }
    }

    /// The partition of the table of jobs that has it.
    pub fn page(&self, id: JobId) -> (i64, i64) {
        let Origin { parent, .. } = self.origin;
        (keys::parent(parent), keys::bucket(id))
    }
}

/// Says that a tree has a job, if that job is visible there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdReservation {
    pub id: JobId,
    /// The tree.
    pub root: JobId,
    /// The stage that it is staged in, or none.
    pub stage: i64,
    /// The parent, as keys have it.
    pub parent: i64,
}

/// A tree with its weight when it was last weighed.
#[derive(Clone)]
struct Weighed {
    tree: Arc<Tree>,
    bytes: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<JobId, Weighed> for Weight {
    fn weight(&self, _: &JobId, tree: &Weighed) -> u64 {
        tree.bytes
    }
}

/// The trees that a server remembers.
pub struct TreeCache {
    pub cluster: Arc<Cluster>,
    trees: Cache<JobId, Weighed, Weight, RandomState>,
    places: Cache<JobId, Location>,
    /// Trees that have a head and no jobs, because a server had to fence one that was to be
    /// created; with the names at their heads.
    empty: Cache<JobId, Uuid>,
    pub(crate) child_indexes: SparseIndexes,
}

type TailRow = (i8, i64, Option<i64>, Option<Uuid>, Option<i64>, Option<Vec<u8>>, Option<i32>);

impl TreeCache {
    pub fn new(cluster: Arc<Cluster>, bytes: u64) -> Self {
        // One shard: a tree may take a good part of the whole.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity((bytes / 2_000).max(1) as usize)
            .weight_capacity(bytes.max(1))
            .build()
            .expect("all that has to be said is said");
        let (hasher, cycle) = (RandomState::new(), DefaultLifecycle::default());
        let trees = Cache::with_options(options, Weight, hasher, cycle);
        let places = places(((bytes / 2 / PLACE_BYTES) as usize).max(1_000));
        let (empty, child_indexes) = (Cache::new(EMPTY), SparseIndexes::default());
        Self { cluster, trees, places, empty, child_indexes }
    }

    /// The remembered tree.
    pub fn tree(&self, root: JobId) -> Arc<Tree> {
        let new = || -> std::result::Result<_, std::convert::Infallible> {
            Ok(self.weighed(&Arc::new(Tree::new(root))))
        };
        match self.trees.get_or_insert_with(&root, new) {
            Ok(weighed) => weighed.tree,
            Err(never) => match never {},
        }
    }

    /// Updates the weight of a tree, which may have grown.
    pub fn weigh(&self, tree: &Arc<Tree>) {
        // Replaced only if it is still there: another one may have taken its slot.
        let _ = self.trees.replace(tree.root, self.weighed(tree), false);
    }

    /// The largest of all is kept, too, since it is the one that is worked on: no tree counts for
    /// more than a quarter.
    fn weighed(&self, tree: &Arc<Tree>) -> Weighed {
        let bytes = tree.bytes().min(self.trees.capacity() / 4);
        Weighed { tree: Arc::clone(tree), bytes }
    }

    /// The runtime on which the store was opened.
    pub fn runtime(&self) -> &Handle {
        self.cluster.runtime()
    }

    /// Numbers for the metrics page.
    pub fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let trees = "TreeCache whose logs are remembered";
        let bytes = "Memory of remembered trees in bytes, about";
        vec![
            ("store_trees", trees, self.trees.len() as u64),
            ("store_tree_bytes", bytes, self.trees.weight()),
        ]
    }

    /// Where a job is, if this server remembers it.
    pub fn place(&self, id: JobId) -> Option<Location> {
        self.places.get(&id)
    }

    /// Remembers where a job that is visible is kept.
    pub fn remember_location(&self, id: JobId, place: Location) {
        self.places.insert(id, place);
    }

    /// The name at the head of a tree without jobs, if this server knows of one.
    pub fn empty(&self, root: JobId) -> Option<Uuid> {
        self.empty.get(&root)
    }

    /// Remembers the name at the head of a tree without jobs.
    pub fn remember_empty(&self, root: JobId, cid: Uuid) {
        self.empty.insert(root, cid);
    }

    /// The tail of a tree's log as it is now; `None` when there is no such tree.
    ///
    /// Commits that were acknowledged before this call are in it. Callers share a head refresh that
    /// has not begun.
    pub async fn refresh(self: &Arc<Self>, tree: &Arc<Tree>) -> Result<Option<Arc<Tail>>> {
        let tail = self.refresh_log(tree).await?;
        Ok(tail.filter(|tail| tail.deletion().is_none()))
    }

    /// The same, also of a tree that was deleted, as long as something of it is left.
    pub async fn refresh_log(self: &Arc<Self>, tree: &Arc<Tree>) -> Result<Option<Arc<Tail>>> {
        tree.next_refresh(|| self.begin_refresh(tree)).await
    }

    /// Not on the runtime of a caller, which may end while others wait.
    fn begin_refresh(self: &Arc<Self>, tree: &Arc<Tree>) -> HeadRefresh {
        let (trees, tree) = (Arc::clone(self), Arc::clone(tree));
        let look = self.runtime().spawn(async move {
            tree.refresh_begins();
            let is_new = tree.tail().is_none();
            let seen = trees.refresh_alone(&tree).await;
            if is_new {
                trees.weigh(&tree);
            }
            seen
        });
        let seen = async move {
            look.await.unwrap_or_else(|_| Err(Error::Unavailable("it is being closed".into())))
        };
        seen.boxed()
    }

    async fn refresh_alone(&self, tree: &Arc<Tree>) -> Result<Option<Arc<Tail>>> {
        let root = keys::number(tree.root);
        for _ in 0..REFRESHES {
            let known = tree.tail();
            // Usually no other server writes to a tree: one row tells, which costs half of a slice.
            if tree.is_quiet() && known.is_some() {
                let head = self.head(root).await?;
                let before = known.as_ref().map_or(0, |known| known.version);
                if head.is_some_and(|(version, _)| version < before) {
                    // What is remembered was deleted and removed meanwhile.
                    tree.forget();
                    continue;
                }
                // Commits of this server may have come meanwhile.
                let now = tree.tail().filter(|now| {
                    head.is_some_and(|(version, cid)| {
                        version < now.version || (version, cid) == (now.version, now.cid)
                    })
                });
                if now.is_some() {
                    return Ok(now);
                }
                tree.note_quiet(false);
            }
            let from = match &known {
                Some(tail) => tail.version,
                None => match self.applied(root).await? {
                    Some(applied) => applied,
                    None => return Ok(None),
                },
            };
            let statement = &self.cluster.statements.tail;
            let rows: Vec<TailRow> = self.cluster.rows(statement, (root, from as i64)).await?;
            // Not even a head: it was deleted, and has been removed.
            if rows.is_empty() {
                tree.forget();
                self.child_indexes.clear();
                return Ok(None);
            }
            if let Some(seen) = self.assemble(tree, known.as_deref(), from, rows).await? {
                let is_known = known.is_none_or(|known| known.version == seen.version);
                tree.note_quiet(is_known);
                return Ok(Some(seen));
            }
        }
        Err(failure::asking("the log of a tree moves on too fast to be read"))
    }

    /// Up to where a tree is in the other tables; none when there is no such tree.
    async fn applied(&self, root: i64) -> Result<Option<Version>> {
        let statements = &self.cluster.statements;
        let row: Option<(Option<i64>,)> = self.cluster.row(&statements.applied, (root,)).await?;
        if let Some((Some(applied),)) = row {
            return Ok(Some(applied as Version));
        }
        Ok(self.head(root).await?.map(|_| 0))
    }

    /// The version of a tree, and the name of the commit that made it.
    async fn head(&self, root: i64) -> Result<Option<(Version, Uuid)>> {
        let statement = &self.cluster.statements.head;
        let row: Option<(Option<i64>, Option<Uuid>)> = self.cluster.row(statement, (root,)).await?;
        Ok(row.and_then(|(version, cid)| Some((version.unwrap_or(0) as Version, cid?))))
    }

    /// Puts what was read behind what is known. `None` when entries are missing between them: they
    /// were applied meanwhile, and have gone.
    async fn assemble(
        &self,
        tree: &Arc<Tree>,
        known: Option<&Tail>,
        from: Version,
        rows: Vec<TailRow>,
    ) -> Result<Option<Arc<Tail>>> {
        let (mut head, mut applied, mut redos) = (None, 0, Vec::new());
        for (kind, id, version, cid, stamp, body, parts) in rows {
            let version = version.unwrap_or(0) as Version;
            match (kind, cid) {
                (keys::tree::HEAD, Some(cid)) => head = Some((version, cid)),
                (keys::tree::APPLIED, _) => applied = version,
                (keys::tree::REDO, Some(cid)) => {
                    let (version, stamp) = (id as Version, stamp.unwrap_or(0));
                    let name = Name { version, cid, stamp, parted: parts.is_some() };
                    redos.push((name, body.unwrap_or_default(), parts.unwrap_or(0)));
                }
                _ => return Err(failure::reading("a row of a log is of no known kind")),
            }
        }
        let Some((version, cid)) = head else {
            return Err(failure::reading("a log has no head"));
        };
        let begins = redos.first().map_or(version, |(name, ..)| name.version - 1);
        let follows = begins == from;
        if !follows && begins > applied {
            return Ok(None);
        }
        let mut all: Vec<Arc<Redo>> = Vec::new();
        if follows && let Some(known) = known {
            all.extend(known.redos.iter().filter(|redo| redo.version > applied).cloned());
        }
        for (name, body, parts) in redos {
            let Some(body) = self.whole(name, body, parts).await? else { return Ok(None) };
            all.push(Arc::new(Redo::read(name, &body)?));
        }
        let tail = Tail { root: tree.root, version, cid, applied, redos: all };
        Ok(Some(tree.advance(tail)))
    }

    /// The body of an entry, put together from its parts if it has some. `None` when they have
    /// gone.
    async fn whole(&self, name: Name, body: Vec<u8>, parts: i32) -> Result<Option<Vec<u8>>> {
        let mut body = body;
        for part in 0..parts {
            let statement = &self.cluster.statements.part;
            let row: Option<(Vec<u8>,)> = self.cluster.row(statement, (name.cid, part)).await?;
            let Some((bytes,)) = row else { return Ok(None) };
            body.extend_from_slice(&bytes);
        }
        Ok(Some(body))
    }

    /// The version that published a stage of a tree, if one has; asked for once.
    pub async fn published(&self, tree: &Tree, stage: StageId) -> Result<Option<Version>> {
        if let Some(version) = tree.published(stage) {
            return Ok(Some(version));
        }
        let mark = self.mark(tree.root, stage).await?;
        let Some(version) = mark.and_then(|mark| u64::try_from(mark).ok()) else { return Ok(None) };
        tree.remember_published(stage, version);
        Ok(Some(version))
    }

    /// The mark of a stage of a tree: the version that published it, or [`REVOKED`].
    pub async fn mark(&self, root: JobId, stage: StageId) -> Result<Option<i64>> {
        let statement = &self.cluster.statements.mark;
        let key = (keys::number(root), stage_key(stage.0));
        let row: Option<(Option<i64>,)> = self.cluster.row(statement, key).await?;
        Ok(row.and_then(|(mark,)| mark))
    }
}

fn places(room: usize) -> Cache<JobId, Location> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(room)
        .weight_capacity(room as u64)
        .hot_allocation(1.0 - NEW_PLACES)
        .build()
        .expect("all that has to be said is said");
    let (hasher, cycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
    Cache::with_options(options, UnitWeighter, hasher, cycle)
}

/// The mark of a stage that may not be published any more.
pub const REVOKED: i64 = -1;
