//! One commit of one tree: what has to be written before it, the one conditional batch, and how its
//! outcome is found out.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    Stream, StreamExt,
    stream::{self, FuturesUnordered},
};
use jobtracker_model::JobId;
use uuid::Uuid;

use super::{
    checkpoint::Checkpoints,
    cluster::Cluster,
    connect,
    deletions::Deletions,
    index::IndexTables,
    keys::{self, NO_STAGE},
    open::{Open, Work, stage_key},
    redo::{Name, Redo},
    reservations::{Reservations, Taken},
    roots::Roots,
    sending::{Base, Sending},
    stages::{Publication, Stages},
    tail::Tail,
    tree::Tree,
    trees::{IdReservation, Location, REVOKED, TreeCache},
    uploads::UploadTables,
};
use crate::{Error, Origin, Result, Row, StageId, TreeCommit, Version};

/// The largest body that goes into the conditional batch itself: a condition's row is written three
/// times by each copy.
const INLINE_BYTES: usize = 64 * 1024;
/// A part of a larger body.
const PART_BYTES: usize = 256 * 1024;

/// Commits trees.
pub struct Commits {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<TreeCache>,
    pub reservations: Arc<Reservations>,
    pub stages: Arc<Stages>,
    pub open: Arc<Open>,
    pub checkpoints: Arc<Checkpoints>,
    pub roots: Arc<Roots>,
    pub indexes: Arc<IndexTables>,
    pub uploads: Arc<UploadTables>,
    pub deletions: Arc<Deletions>,
    pub patience: Duration,
}

/// A commit that is ready to send.
struct Prepared {
    tree: Arc<Tree>,
    base: Base,
    before: Option<Arc<Tail>>,
    created: Vec<(JobId, Origin)>,
    publishes: Option<Publication>,
    rows: Vec<Row>,
}

impl Commits {
    /// Commits trees side by side, each on its own, and answers each when it is done. What can be
    /// written for all at once is written first.
    pub fn commit(
        self: Arc<Self>,
        commits: Vec<TreeCommit>,
    ) -> impl Stream<Item = (usize, Result<()>)> + Send {
        let begun = async move {
            let prepared = commits.into_iter().map(|commit| self.prepare(commit));
            let prepared = futures_util::future::join_all(prepared).await;
            let prepared = self.one_tree_for_each_id(prepared);
            let (taken, roots, index) = tokio::join!(
                self.reservation(&prepared),
                self.note_roots(&prepared),
                self.note_follow_ups(&prepared)
            );
            let noted = Arc::new((taken, roots.and(index)));
            let end = |(place, prepared)| {
                let (commits, noted) = (Arc::clone(&self), Arc::clone(&noted));
                async move {
                    let done = async { commits.end(prepared?, &noted.0, &noted.1).await };
                    (place, done.await)
                }
            };
            prepared.into_iter().enumerate().map(end).collect::<FuturesUnordered<_>>()
        };
        stream::once(begun).flatten()
    }

    /// Sends a commit after everything that must be written before it.
    async fn end(
        &self,
        mut prepared: Prepared,
        taken: &Result<Taken>,
        noted: &Result<()>,
    ) -> Result<()> {
        let root = prepared.tree.root;
        let publication = prepared.publishes.take();
        let done = match (taken, noted) {
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
            (Ok(taken), _) => {
                match taken.refuse(root, prepared.created.iter().map(|(id, _)| *id)) {
                    Ok(()) => self.send(prepared, publication.as_ref()).await,
                    refused => refused,
                }
            }
        };
        if let Some(publication) = publication {
            publication.end(&done);
        }
        done
    }

    /// Refreshes the head that the commit follows. This comes before any id is reserved: the commit
    /// has to notice a server that fences the tree because of a reservation.
    async fn prepare(&self, commit: TreeCommit) -> Result<Prepared> {
        let TreeCommit { root, expected, rows, publishes } = commit;
        let tree = self.trees.tree(root);
        let stale = || Error::Stale { root };
        let before = match tree.tail() {
            Some(tail) if tail.version >= expected => Some(tail),
            None if expected == 0 => None,
            _ => self.trees.refresh(&tree).await?,
        };
        let base = match &before {
            Some(tail) if tail.version == expected && tail.deletion().is_none() => {
                Base { cid: Some(tail.cid), version: expected }
            }
            None if expected == 0 => Base { cid: self.trees.empty(root), version: 0 },
            _ => return Err(stale()),
        };
        let publishes = match publishes {
            Some(stage) => Some(self.publish(&tree, expected, stage).await?),
            None => None,
        };
        let created = rows.iter().filter_map(|row| match row {
            Row::Job { id, origin, .. } => Some((*id, *origin)),
            _ => None,
        });
        let created = created.collect();
        Ok(Prepared { tree, base, before, created, publishes, rows })
    }

    /// Begins to publish a stage by a commit of this version.
    async fn publish(
        &self,
        tree: &Arc<Tree>,
        expected: Version,
        stage: StageId,
    ) -> Result<Publication> {
        let root = tree.root;
        let publication = match self.stages.publish(stage, root) {
            Ok(publication) => publication,
            Err(error) => {
                // It may be gone because an earlier sending of this commit has come true.
                let now = self.trees.refresh(tree).await?.map_or(0, |tail| tail.version);
                return Err(if now == expected { error } else { Error::Stale { root } });
            }
        };
        let (done, answer) = match self.trees.mark(root, stage).await {
            Ok(None) => return Ok(publication),
            Ok(Some(REVOKED)) => {
                let what = "another server has taken the ids of what was staged";
                let what = format!("{what} for tree {root}; stage it again");
                let error = Error::Unavailable(what);
                (Err(error.clone()), error)
            }
            Ok(Some(_)) => (Ok(()), Error::Stale { root }),
            Err(error) => (Err(error.clone()), error),
        };
        publication.end(&done);
        Err(answer)
    }

    /// Of two trees of one call that create a job of one id, the first goes on.
    fn one_tree_for_each_id(&self, prepared: Vec<Result<Prepared>>) -> Vec<Result<Prepared>> {
        let mut seen = HashSet::new();
        let first = |prepared: Result<Prepared>| {
            let prepared = prepared?;
            let created = || prepared.created.iter().map(|(id, _)| *id);
            if created().any(|id| seen.contains(&id)) {
                let stale = Error::Stale { root: prepared.tree.root };
                if let Some(publication) = prepared.publishes {
                    publication.end(&Err(stale.clone()));
                }
                return Err(stale);
            }
            seen.extend(created());
            Ok(prepared)
        };
        prepared.into_iter().map(first).collect()
    }

    async fn reservation(&self, prepared: &[Result<Prepared>]) -> Result<Taken> {
        let reservations: Vec<IdReservation> = prepared
            .iter()
            .flatten()
            .flat_map(|prepared| {
                let root = prepared.tree.root;
                prepared.created.iter().map(move |(id, origin)| IdReservation {
                    id: *id,
                    root,
                    stage: NO_STAGE,
                    parent: keys::parent(origin.parent),
                })
            })
            .collect();
        let prepared = prepared.iter().flatten();
        let new = prepared.filter(|prepared| prepared.base.version == 0);
        let new = new.map(|prepared| prepared.tree.root).collect();
        self.reservations.reservation(&reservations, &new).await
    }

    /// Lists new roots by time. Readers of the list skip a root whose commit fails.
    async fn note_roots(&self, prepared: &[Result<Prepared>]) -> Result<()> {
        let rows = prepared.iter().flatten().flat_map(|prepared| &prepared.rows);
        let roots: Vec<_> = rows.filter_map(new_root).collect();
        if roots.is_empty() { Ok(()) } else { self.roots.note_roots(&roots, NO_STAGE).await }
    }

    /// Lists follow-ups by time. Readers skip one whose commit fails likewise.
    async fn note_follow_ups(&self, prepared: &[Result<Prepared>]) -> Result<()> {
        let commits = prepared.iter().flatten();
        let commits: Vec<_> = commits
            .map(|prepared| (prepared.tree.root, prepared.base.version, &prepared.rows[..]))
            .collect();
        self.indexes.note(&commits).await
    }

    async fn send(&self, prepared: Prepared, publication: Option<&Publication>) -> Result<()> {
        let Prepared { tree, base, before, created, rows, .. } = prepared;
        let rows = self.with_stages(&tree, rows, &created, publication).await?;
        self.note_tree_results(&rows).await?;
        let (cid, stamp) = (Uuid::new_v4(), connect::now_millis() * 1_000);
        let name = Name { version: base.version + 1, cid, stamp, parted: false };
        let stage = publication.map(|publication| publication.stage);
        let (mut redo, body) = Redo::new(name, stage, rows)?;
        let deletion = match redo.deletion() {
            Some(_) => Some(self.deletions.announce(tree.root).await?),
            None => None,
        };
        let mut parts = 0;
        if body.len() > INLINE_BYTES {
            parts = match self.write_parts(tree.root, cid, &body).await {
                Ok(parts) => parts,
                Err(error) => {
                    self.end_parts(cid, true);
                    return Err(error);
                }
            };
            redo = redo.parted();
        }
        let sending = Sending {
            root: tree.root,
            base,
            cid,
            stamp,
            stage,
            body: if parts == 0 { Some(body) } else { None },
            parts: (parts > 0).then_some(parts),
        };
        let done = sending.resolve(&self.cluster, &self.trees, self.patience).await;
        match &done {
            // `tidy` finds out whether the log has them.
            Err(Error::OutcomeUnknown(_)) => self.open.give_up(Work::Parts(cid)),
            done if parts > 0 => self.end_parts(cid, done.is_err()),
            _ => {}
        }
        if done.is_ok() {
            self.landed(&tree, before, redo, created).await;
        }
        if let Some(deletion) = deletion {
            deletion.end(&done);
        }
        done
    }

    /// Adds what was committed to the tail; the next head refresh would find the same.
    async fn landed(
        &self,
        tree: &Arc<Tree>,
        before: Option<Arc<Tail>>,
        redo: Redo,
        created: Vec<(JobId, Origin)>,
    ) {
        let root = tree.root;
        let tail = match before {
            Some(before) => before.followed_by(redo),
            None => {
                let redos = Vec::new();
                Tail { root, version: 0, cid: redo.cid, applied: 0, redos }.followed_by(redo)
            }
        };
        // A checkpoint may have moved its beginning meanwhile.
        let applied = tree.tail().map_or(0, |now| now.applied);
        tree.advance(if applied > tail.applied { tail.applied(applied) } else { tail });
        for (id, origin) in created {
            self.trees.remember_location(id, Location { origin, stage: NO_STAGE });
        }
        self.trees.weigh(tree);
        self.checkpoints.after_commit(tree).await;
    }

    /// Gives each row the stage of its job, which is part of its key.
    async fn with_stages(
        &self,
        tree: &Tree,
        rows: Vec<Row>,
        created: &[(JobId, Origin)],
        publication: Option<&Publication>,
    ) -> Result<Vec<(i64, Row)>> {
        let created: HashSet<JobId> = created.iter().map(|(id, _)| *id).collect();
        let mut known: HashMap<JobId, i64> = HashMap::new();
        let mut unknown = Vec::new();
        for id in rows.iter().filter_map(Row::job) {
            if known.contains_key(&id) {
                continue;
            }
            match publication {
                _ if created.contains(&id) => drop(known.insert(id, NO_STAGE)),
                Some(Publication { stage, ids, .. }) if ids.contains(id.get()) => {
                    known.insert(id, stage_key(stage.0));
                }
                _ => unknown.push(id),
            }
        }
        let found = self.trees.find(&unknown).await?;
        for id in unknown {
            let place = found.get(&id).filter(|place| place.origin.root == tree.root);
            let Some(place) = place else { return Err(Error::Stale { root: tree.root }) };
            known.insert(id, place.stage);
        }
        let stage = |row: &Row| row.job().and_then(|id| known.get(&id).copied());
        Ok(rows.into_iter().map(|row| (stage(&row).unwrap_or(NO_STAGE), row)).collect())
    }

    /// Lists the results by the upload that was sent. One that does not come true has no body.
    async fn note_tree_results(&self, rows: &[(i64, Row)]) -> Result<()> {
        for (_, row) in rows {
            if let Row::TreeResult { commit, row } = row {
                self.uploads.note_sent(commit, row.time).await?;
                self.uploads.note_applied(commit, row.tree_result.root).await?;
            }
        }
        Ok(())
    }

    async fn write_parts(&self, root: JobId, cid: Uuid, body: &[u8]) -> Result<i32> {
        self.open.begin(Work::Parts(cid), root).await?;
        let put = &self.cluster.statements.put_part;
        let mut parts = 0;
        for part in body.chunks(PART_BYTES) {
            self.cluster.write(put, (cid, parts, part)).await?;
            parts += 1;
        }
        Ok(parts)
    }

    /// From now on the parts of a body belong to the log, or are to be removed.
    fn end_parts(&self, cid: Uuid, are_dead: bool) {
        let (open, cluster) = (Arc::clone(&self.open), Arc::clone(&self.cluster));
        self.cluster.runtime().spawn(async move {
            let removed = match are_dead {
                true => cluster.write(&cluster.statements.drop_parts, (cid,)).await,
                false => Ok(()),
            };
            let ended = removed.and(open.end(Work::Parts(cid)).await);
            if let Err(error) = ended {
                open.give_up(Work::Parts(cid));
                tracing::debug!(%error, "parts of a log stay listed");
            }
        });
    }
}

/// The root that a row creates, with its time.
pub fn new_root(row: &Row) -> Option<(JobId, jobtracker_model::Timestamp)> {
    match row {
        Row::Status { id, parent: None, before: None, status } => Some((*id, status.create_time)),
        _ => None,
    }
}
