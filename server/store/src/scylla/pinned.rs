//! A tree at one snapshot: its jobs are read beside one tail of its log.

mod children;
mod details;
mod history;
mod view;
mod walk;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{Definition, JobId, rollup::Status};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use self::walk::Walk;
use super::{
    cluster::{Cluster, IDS, READS_AT_ONCE, Several},
    keys::{self, NO_STAGE},
    tail::Tail,
    tree::Tree,
    trees::{IdReservation, Location, TreeCache},
};
use crate::{Error, Origin, Result, StageId, Version, coding};

/// Refreshes of a tree's head when the tree has moved on while the tables were read.
const TRIES: usize = 8;
/// How long a reader waits at most for a checkpoint to end before it tries again.
const WAIT: Duration = Duration::from_secs(1);

/// A tree at one version: the tail of its log, and the rows of the tables that belong to it. A row
/// of a later version is skipped where the tail says how it was before, and is an [`Error::Stale`]
/// elsewhere.
pub struct PinnedTree {
    pub trees: Arc<TreeCache>,
    pub tree: Arc<Tree>,
    pub tail: Arc<Tail>,
    /// Versions that published stages; `None` where that has not happened.
    stages: Mutex<HashMap<i64, Option<Version>>>,
    /// Jobs that were read, for questions that come after them.
    seen: Mutex<HashMap<JobId, (Location, Status)>>,
    /// Children that were read before the list came to their parents.
    ahead: Mutex<HashMap<JobId, Walk>>,
}

/// What is known of a job.
#[derive(Clone)]
pub struct Known {
    pub place: Location,
    pub status: Status,
    /// Only where it was asked for.
    pub definition: Option<Arc<Definition>>,
}

/// A row of the table of jobs, of a job that is visible now or was at this snapshot.
pub struct Found {
    pub id: JobId,
    pub stage: i64,
    /// The version that published it; 0 for what was never staged.
    since: Version,
    /// The version that wrote it.
    version: Version,
    pub origin: Origin,
    pub definition: Option<Arc<Definition>>,
    pub status: Status,
}

/// Which rows of a page are read.
pub enum Which {
    Behind(Option<JobId>),
    /// These, of this stage: whole keys, which a cluster finds faster than beginnings of keys.
    Ids(Vec<JobId>, i64),
}

type Cells = (i64, i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
type NodeCells = (i64, i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

/// A partition of the table of jobs, and whether definitions are read too.
type Page = ((i64, i64), bool);
/// Rows of one page and one stage.
type Group = (Page, i64);

impl PinnedTree {
    /// A tree as it is now; `None` when it is not there.
    pub async fn now(trees: &Arc<TreeCache>, root: JobId) -> Result<Option<Self>> {
        let tree = trees.tree(root);
        let tail = trees.refresh(&tree).await?;
        Ok(tail.map(|tail| Self::at(trees, tree, tail)))
    }

    /// Keeps this server from making checkpoints of a tree, so that the rows that a reader is about
    /// to read stay. Other servers may still make some.
    async fn hold(trees: &TreeCache, root: JobId) -> Option<OwnedSemaphorePermit> {
        let checkpoint = Arc::clone(&trees.tree(root).checkpoint);
        tokio::time::timeout(WAIT, checkpoint.acquire_owned()).await.ok()?.ok()
    }

    /// A tree as it was last seen.
    fn at(trees: &Arc<TreeCache>, tree: Arc<Tree>, tail: Arc<Tail>) -> Self {
        let (stages, seen, ahead) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { trees: Arc::clone(trees), tree, tail, stages, seen, ahead }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.trees.cluster
    }

    /// The answer when a row of a later version stands in the way.
    pub fn stale(&self) -> Error {
        Error::Stale { root: self.tail.root }
    }

    /// Whether a row that was written by this version belongs to this snapshot.
    pub fn is_past(&self, version: Option<i64>) -> bool {
        version.unwrap_or(0) as Version <= self.tail.version
    }

    /// The version that published a stage, if that has happened.
    async fn published(&self, stage: i64) -> Result<Option<Version>> {
        if let Some(known) = self.stages.lock().get(&stage) {
            return Ok(*known);
        }
        let published = self.trees.published(&self.tree, StageId(stage as u64)).await?;
        self.stages.lock().insert(stage, published);
        Ok(published)
    }

    /// Rows of one page, with definitions or without.
    pub async fn rows(
        &self,
        ((parent, page), definitions): Page,
        which: Which,
    ) -> Result<Vec<Found>> {
        let (cluster, statements) = (self.cluster(), &self.cluster().statements);
        let behind = |after: Option<JobId>| (parent, page, after.map_or(0, keys::number));
        let among = |ids: &[JobId], stage: i64| {
            let ids: Vec<i64> = ids.iter().map(|id| keys::number(*id)).collect();
            (parent, page, ids, stage)
        };
        let rows: Vec<Cells> = match (which, definitions) {
            (Which::Behind(after), true) => {
                cluster.rows(&statements.children, behind(after)).await?
            }
            (Which::Behind(after), false) => {
                whole(cluster.rows(&statements.child_nodes, behind(after)).await?)
            }
            (Which::Ids(ids, stage), true) => {
                cluster.rows(&statements.jobs, among(&ids, stage)).await?
            }
            (Which::Ids(ids, stage), false) => {
                whole(cluster.rows(&statements.nodes, among(&ids, stage)).await?)
            }
        };
        self.sift(rows).await
    }

    /// Leaves out what has not been published, and what no commit has ever created.
    async fn sift(&self, rows: Vec<Cells>) -> Result<Vec<Found>> {
        let mut found = Vec::with_capacity(rows.len());
        for (id, stage, version, origin, definition, status) in rows {
            let (Some(id), Some(origin)) = (keys::id(id), origin) else { continue };
            // A job may be staged without its status: the commit that publishes it has that.
            let status = match status {
                Some(status) => coding::decode("status", &status)?,
                None => match self.tail.status(id) {
                    Some(status) => status.clone(),
                    None => continue,
                },
            };
            let since = match stage {
                NO_STAGE => 0,
                _ => match self.published(stage).await? {
                    Some(since) => since,
                    None => continue,
                },
            };
            let definition: Option<Definition> = definition
                .map(|definition| coding::decode("definition", &definition))
                .transpose()?;
            found.push(Found {
                id,
                stage,
                since,
                version: since.max(version.unwrap_or(0) as Version),
                origin: coding::decode("origin", &origin)?,
                definition: definition.map(Arc::new),
                status,
            });
        }
        Ok(found)
    }

    /// The job of a row at this snapshot; `None` when the job was not there yet.
    pub fn known(&self, found: Found, definition: bool) -> Result<Option<Known>> {
        let Found { id, stage, since, version, origin, .. } = found;
        if since > self.tail.version {
            return Ok(None);
        }
        let status = self.tail.status(id).cloned();
        let later = if definition { self.tail.definition(id).cloned() } else { None };
        let is_covered = status.is_some() && (!definition || later.is_some());
        if version > self.tail.version && !is_covered {
            return Err(self.stale());
        }
        let status = status.unwrap_or(found.status);
        let definition = later.or(if definition { found.definition } else { None });
        let place = Location { origin, stage };
        Ok(Some(Known { place, status, definition }))
    }

    /// Keeps what was read of jobs for questions that come after them.
    fn see<'a>(&self, read: impl Iterator<Item = (JobId, &'a Known)>) {
        let read = read.map(|(id, known)| (id, (known.place, known.status.clone())));
        self.seen.lock().extend(read);
    }

    /// Keeps statuses for later readers.
    fn remember(&self, found: &[Found]) {
        let past = found.iter().filter(|found| found.version <= self.tail.version);
        let read = past.map(|found| (found.id, found.version, found.status.clone()));
        self.tree.remember(&self.tail, read);
    }

    /// Jobs at this snapshot, each with its definition if that is asked for. Jobs that are not
    /// there are left out.
    pub async fn read(&self, asked: &[(JobId, Location, bool)]) -> Result<HashMap<JobId, Known>> {
        let mut known = HashMap::with_capacity(asked.len());
        let ids: Vec<JobId> = asked.iter().map(|(id, ..)| *id).collect();
        let mut remembered = self.tree.statuses(&self.tail, &ids);
        let mut groups: BTreeMap<Group, Vec<JobId>> = BTreeMap::new();
        for &(id, place, wanted) in asked {
            let status = self.tail.status(id).cloned().or_else(|| remembered.remove(&id));
            let status = status.or_else(|| Some(self.seen.lock().get(&id)?.1.clone()));
            let definition = if wanted { self.tail.definition(id).cloned() } else { None };
            match status {
                Some(status) if !wanted || definition.is_some() => {
                    known.insert(id, Known { place, status, definition });
                }
                None if self.tail.is_whole_tree() => {}
                _ => {
                    let group = ((place.page(id), wanted), place.stage);
                    groups.entry(group).or_default().push(id);
                }
            }
        }
        for (wanted, rows) in self.rows_of(groups).await? {
            self.remember(&rows);
            for found in rows {
                let id = found.id;
                if let Some(found) = self.known(found, wanted)? {
                    self.see([(id, &found)].into_iter());
                    known.insert(id, found);
                }
            }
        }
        Ok(known)
    }

    /// One job at this snapshot.
    async fn one(&self, id: JobId, definition: bool) -> Result<Option<Known>> {
        let Some(place) = self.find(&[id]).await?.remove(&id) else { return Ok(None) };
        Ok(self.read(&[(id, place, definition)]).await?.remove(&id))
    }

    /// The rows of some ids.
    async fn rows_of(
        &self,
        groups: BTreeMap<Group, Vec<JobId>>,
    ) -> Result<Vec<(bool, Vec<Found>)>> {
        let mut reads: Several<'_, (bool, Vec<Found>)> = Vec::new();
        for ((page, stage), ids) in groups {
            for ids in ids.chunks(IDS) {
                let ids = Which::Ids(ids.to_vec(), stage);
                reads.push(Box::pin(async move { Ok((page.1, self.rows(page, ids).await?)) }));
            }
        }
        stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await
    }

    /// Where a job of this tree is, if that takes no read.
    pub fn place(&self, id: JobId) -> Option<Location> {
        if let Some((place, _)) = self.seen.lock().get(&id) {
            return Some(*place);
        }
        let known = self.trees.place(id);
        known.filter(|place| place.origin.root == self.tail.root).or_else(|| {
            let born = self.tail.born(id)?;
            let place = Location { origin: born.origin, stage: born.stage };
            self.trees.remember_location(id, place);
            Some(place)
        })
    }

    /// Where the jobs are that this tree has now.
    pub async fn find(&self, ids: &[JobId]) -> Result<HashMap<JobId, Location>> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut left = Vec::new();
        for &id in ids {
            match self.place(id) {
                Some(place) => drop(found.insert(id, place)),
                None => left.push(id),
            }
        }
        if !left.is_empty() && !self.tail.is_whole_tree() {
            let mut reservations = self.trees.reservations(&left).await?;
            reservations.retain(|reservation| reservation.root == self.tail.root);
            found.extend(self.places(&reservations).await?);
        }
        Ok(found)
    }

    /// Where the jobs of these reservations on this tree are, if they are visible.
    pub async fn places(&self, reservations: &[IdReservation]) -> Result<Vec<(JobId, Location)>> {
        let mut places = Vec::new();
        let mut groups: BTreeMap<Group, Vec<JobId>> = BTreeMap::new();
        for reservation in reservations {
            let IdReservation { id, stage, parent, .. } = *reservation;
            if let Some(place) = self.place(id) {
                if place.stage == stage {
                    places.push((id, place));
                }
                continue;
            }
            if self.tail.is_whole_tree()
                || stage != NO_STAGE && self.published(stage).await?.is_none()
            {
                continue;
            }
            let page = ((parent, keys::bucket(id)), false);
            groups.entry((page, stage)).or_default().push(id);
        }
        for (_, rows) in self.rows_of(groups).await? {
            self.remember(&rows);
            for Found { id, stage, origin, .. } in rows {
                let place = Location { origin, stage };
                self.trees.remember_location(id, place);
                places.push((id, place));
            }
        }
        Ok(places)
    }
}

fn whole(nodes: Vec<NodeCells>) -> Vec<Cells> {
    let whole = |(id, stage, version, origin, status)| (id, stage, version, origin, None, status);
    nodes.into_iter().map(whole).collect()
}

/// Reads a tree at one snapshot, and again at a later one when the tables have gone on meanwhile.
/// `first` is a head refresh that was begun within this call of the store. `None`: there is no such
/// tree. `read` is told how many times it was tried before.
pub async fn steadily<T, F>(
    trees: &Arc<TreeCache>,
    root: JobId,
    first: Option<Arc<Tail>>,
    read: impl Fn(Arc<PinnedTree>, usize) -> F,
) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut first = first;
    let tree = trees.tree(root);
    if first.is_none()
        && tree.is_quiet()
        && let Some(known) = tree.tail()
    {
        // Most likely nothing has changed: what is read beside the head refresh is right then.
        let pinned = Arc::new(PinnedTree::at(trees, Arc::clone(&tree), Arc::clone(&known)));
        let (seen, answer) = futures_util::join!(trees.refresh(&tree), read(pinned, 0));
        let Some(seen) = seen? else { return Ok(None) };
        match answer {
            Err(Error::Stale { .. }) => {}
            answer if seen.cid == known.cid => return answer.map(Some),
            _ => {}
        }
        first = Some(seen);
    }
    for again in 0..TRIES {
        let _held = if again > 0 { PinnedTree::hold(trees, root).await } else { None };
        let pinned = match first.take() {
            Some(tail) => Some(PinnedTree::at(trees, trees.tree(root), tail)),
            None => PinnedTree::now(trees, root).await?,
        };
        let Some(pinned) = pinned else { return Ok(None) };
        match read(Arc::new(pinned), again).await {
            Err(Error::Stale { .. }) => {}
            done => return done.map(Some),
        }
    }
    Err(Error::Unavailable(format!("tree {root} changes too fast to be read; try again")))
}
