//! Stages: rows that are staged under a number of their own, until a commit of their tree publishes
//! them by a mark.

mod staged;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::JobId;
use parking_lot::Mutex;
use roaring::RoaringTreemap;

use self::staged::{Details, Staged, staged};
use super::{
    cluster::{Cluster, Several},
    keys::{
        self,
        history::{CHANGE, DELIVERY, LINE},
    },
    open::{Open, Work, stage_key},
    trees::{REVOKED, TreeCache},
};
use crate::{Error, Result, Row, StageId};

/// Jobs of a stage that are removed at once.
const AT_ONCE: usize = 16;

/// The stages of this server.
pub struct Stages {
    cluster: Arc<Cluster>,
    trees: Arc<TreeCache>,
    pub open: Arc<Open>,
    mine: Mutex<HashMap<i64, Stage>>,
}

struct Stage {
    root: JobId,
    ids: RoaringTreemap,
    calls: u64,
    under_way: usize,
    state: State,
    /// Whether a commit that publishes it is under way.
    publishing: bool,
    /// Whether such a commit has ended with an unknown outcome.
    doubtful: bool,
    /// Whether it was discarded: it is being removed, unless it turns out to be published.
    leaving: bool,
}

impl Stage {
    /// Whether it may have been published, or still be.
    fn may_be_published(&self) -> bool {
        self.publishing || self.doubtful
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Rows are missing in it, or may be.
    Broken,
    /// It was discarded, and no commit can publish it any more.
    Discarded,
}

/// The possible fate of a stage that has an id.
pub enum Fate {
    /// It may be published, or has been.
    Alive,
    /// It never will be.
    Dead,
    /// Its server has gone or discards it: it may be revoked.
    Left,
}

/// A commit that publishes a stage. Dropped before its end, it leaves the stage in doubt.
pub struct Publication {
    stages: Arc<Stages>,
    pub stage: StageId,
    /// The jobs that are in it.
    pub ids: RoaringTreemap,
    is_over: bool,
}

/// A call to stage rows. Dropped before its end, it leaves the stage broken.
pub struct Call {
    stages: Arc<Stages>,
    pub stage: StageId,
    pub root: JobId,
    /// Its number among the calls of the stage.
    pub number: u64,
    whole: bool,
}

impl Stages {
    pub fn new(cluster: Arc<Cluster>, trees: Arc<TreeCache>, open: Arc<Open>) -> Self {
        Self { cluster, trees, open, mine: Mutex::default() }
    }

    /// Begins a call; it creates these jobs, and has rows of these.
    pub fn call(
        self: &Arc<Self>,
        stage: StageId,
        root: JobId,
        new: &[JobId],
        of: &HashSet<JobId>,
    ) -> Result<Call> {
        let mut mine = self.mine.lock();
        let entry = mine.entry(stage_key(stage.0)).or_insert_with(|| Stage {
            root,
            ids: RoaringTreemap::new(),
            calls: 0,
            under_way: 0,
            state: State::Whole,
            publishing: false,
            doubtful: false,
            leaving: false,
        });
        if entry.state != State::Whole || entry.may_be_published() || entry.root != root {
            return Err(not_whole(root));
        }
        let known = |id: &JobId| entry.ids.contains(id.get());
        let unique: HashSet<&JobId> = new.iter().collect();
        let all_new = unique.len() == new.len() && !new.iter().any(known);
        if !all_new || !of.iter().all(|id| unique.contains(id) || known(id)) {
            entry.state = State::Broken;
            return Err(Error::Stale { root });
        }
        entry.ids.extend(new.iter().map(|id| id.get()));
        entry.under_way += 1;
        entry.calls += 1;
        let number = entry.calls;
        Ok(Call { stages: Arc::clone(self), stage, root, number, whole: false })
    }

    /// The ids of a stage that a commit is about to publish. The same commit may try again when its
    /// outcome was not known: both follow the same version, so at most one of them comes true.
    pub fn publish(self: &Arc<Self>, stage: StageId, root: JobId) -> Result<Publication> {
        let mut mine = self.mine.lock();
        match mine.get_mut(&stage_key(stage.0)) {
            Some(entry)
                if entry.root == root
                    && entry.under_way == 0
                    && !entry.publishing
                    && entry.state == State::Whole =>
            {
                entry.publishing = true;
                let ids = entry.ids.clone();
                Ok(Publication { stages: Arc::clone(self), stage, ids, is_over: false })
            }
            _ => Err(not_whole(root)),
        }
    }

    /// A commit that would have published it has done nothing: another one may.
    fn not_published(&self, stage: StageId) {
        if let Some(entry) = self.mine.lock().get_mut(&stage_key(stage.0)) {
            entry.publishing = false;
        }
    }

    /// It is not known whether a commit has published it.
    fn in_doubt(&self, stage: StageId) {
        if let Some(entry) = self.mine.lock().get_mut(&stage_key(stage.0)) {
            (entry.publishing, entry.doubtful) = (false, true);
        }
    }

    /// A commit has published it: the list of its rows is of no more use.
    fn published(self: &Arc<Self>, stage: StageId) {
        if self.mine.lock().remove(&stage_key(stage.0)).is_some() {
            let this = Arc::clone(self);
            self.cluster.runtime().spawn(async move {
                let forgotten = this.forget(stage).await;
                if let Err(error) = forgotten.and(this.open.end(Work::Stage(stage.0)).await) {
                    this.open.give_up(Work::Stage(stage.0));
                    tracing::debug!(%error, "the list of a published stage is left");
                }
            });
        }
    }

    /// Removes the staged rows, unless they were published after all.
    pub fn discard(self: &Arc<Self>, stage: StageId) {
        let attempted = {
            let mut mine = self.mine.lock();
            let Some(entry) = mine.get_mut(&stage_key(stage.0)) else { return };
            let attempted = entry.may_be_published();
            entry.leaving = true;
            if !attempted {
                entry.state = State::Discarded;
            }
            attempted.then_some(entry.root)
        };
        let this = Arc::clone(self);
        self.cluster.runtime().spawn(async move {
            if let Err(error) = this.remove_mine(stage, attempted).await {
                this.open.give_up(Work::Stage(stage.0));
                tracing::warn!(%error, "a discarded stage cannot be removed now");
            }
        });
    }

    /// Whether an id is held by a stage that is being removed. One that can certainly not be
    /// published any more does not hold its ids.
    pub fn is_leaving(&self, id: JobId) -> bool {
        let holds = |stage: &Stage| {
            stage.leaving && stage.state != State::Discarded && stage.ids.contains(id.get())
        };
        self.mine.lock().values().any(holds)
    }

    /// The possible fate of a stage that has an id.
    pub async fn fate(&self, stage: StageId, root: JobId) -> Result<Fate> {
        let state = self.mine.lock().get(&stage_key(stage.0)).map(|entry| entry.state);
        match state {
            Some(State::Discarded) => return Ok(Fate::Dead),
            Some(_) => return Ok(Fate::Alive),
            None => {}
        }
        match self.trees.mark(root, stage).await? {
            Some(REVOKED) => Ok(Fate::Dead),
            Some(_) => Ok(Fate::Alive),
            None if self.open.is_alive(stage.0).await? => Ok(Fate::Alive),
            None => Ok(Fate::Left),
        }
    }

    /// Discards the remaining stages when the server closes, and waits until that is done.
    pub async fn close(&self) {
        let mine: Vec<(i64, bool, JobId)> = {
            let mine = self.mine.lock();
            let entry = |(key, stage): (&i64, &Stage)| (*key, stage.may_be_published(), stage.root);
            mine.iter().map(entry).collect()
        };
        for (key, attempted, root) in mine {
            let stage = StageId(key as u64);
            if let Err(error) = self.remove_mine(stage, attempted.then_some(root)).await {
                tracing::debug!(%error, "another server will remove a stage");
            }
        }
    }

    async fn remove_mine(&self, stage: StageId, attempted: Option<JobId>) -> Result<()> {
        self.remove(stage, attempted).await?;
        self.open.end(Work::Stage(stage.0)).await
    }

    /// Removes the rows of a stage. `attempted` is the tree to which a commit may have tried to
    /// publish it; the stage is revoked there first, and stays if that is too late.
    pub async fn remove(&self, stage: StageId, attempted: Option<JobId>) -> Result<()> {
        if let Some(root) = attempted {
            super::fence::fence(&self.cluster, &self.trees, root, Some(stage)).await?;
            if self.trees.mark(root, stage).await? != Some(REVOKED) {
                return self.forget(stage).await;
            }
        }
        self.open.disown(stage.0).await?;
        let (list, slot) = super::open::staged_slot(stage.0);
        // The first call is number 1; the row before it is no call.
        let mut behind = (0, String::from("~"));
        loop {
            let statement = &self.cluster.statements.listed;
            let rows: Vec<(i64, String, Option<Vec<u8>>)> =
                self.cluster.rows(statement, (list, slot, behind.0, &behind.1)).await?;
            let Some((place, key, _)) = rows.last() else { break };
            behind = (*place, key.clone());
            for (_, key, body) in rows {
                let jobs: Vec<Staged> =
                    crate::coding::decode("list of a stage", &body.unwrap_or_default())?;
                let root = key.parse().ok().and_then(JobId::new);
                let mut removals: Several<'_, ()> = Vec::new();
                for job in &jobs {
                    removals.push(Box::pin(self.remove_job(stage, root, job)));
                }
                let removals = stream::iter(removals).buffer_unordered(AT_ONCE);
                removals.try_collect::<()>().await?;
            }
        }
        self.forget(stage).await
    }

    async fn remove_job(&self, stage: StageId, root: Option<JobId>, job: &Staged) -> Result<()> {
        let statements = &self.cluster.statements;
        let (id, stage) = (keys::number(job.id), stage_key(stage.0));
        let (bucket, parent) = (keys::bucket(job.id), keys::parent(job.parent));
        let deliveries = match job.details {
            Details::Deliveries(parts) => parts,
            Details::None | Details::Some => 0,
        };
        let [changes, lines] = job.parts;
        let kinds = [(CHANGE, changes), (LINE, lines), (DELIVERY, deliveries)];
        for (kind, parts) in kinds {
            for part in 0..parts {
                let key = (bucket, kind, part, id, stage);
                self.cluster.write(&statements.drop_history, key).await?;
            }
        }
        if job.details > Details::None {
            self.cluster.write(&statements.drop_details, (id, stage)).await?;
        }
        self.cluster.write(&statements.drop_job, (parent, bucket, id, stage)).await?;
        let root = root.map_or(0, keys::number);
        self.cluster.write(&statements.drop_origin, (bucket, id, root, stage, parent)).await
    }

    async fn forget(&self, stage: StageId) -> Result<()> {
        let slot = super::open::staged_slot(stage.0);
        self.cluster.write(&self.cluster.statements.drop_slot, slot).await?;
        self.mine.lock().remove(&stage_key(stage.0));
        Ok(())
    }
}

impl Publication {
    /// Takes the outcome of the commit.
    pub fn end(mut self, done: &Result<()>) {
        self.is_over = true;
        match done {
            Ok(()) => self.stages.published(self.stage),
            Err(Error::OutcomeUnknown(_)) => self.stages.in_doubt(self.stage),
            Err(_) => self.stages.not_published(self.stage),
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if !self.is_over {
            self.stages.in_doubt(self.stage);
        }
    }
}

impl Call {
    /// The call has done all of it.
    pub fn done(mut self) {
        self.whole = true;
    }

    /// Lists what the call stages, before any of it is written.
    pub async fn list(&self, rows: &[Row]) -> Result<()> {
        if self.number == 1 {
            self.stages.open.begin(Work::Stage(self.stage.0), self.root).await?;
        } else {
            self.stages.open.beat().await?;
        }
        let mut body = Vec::new();
        crate::coding::encode(&staged(rows), &mut body)?;
        let (list, slot) = super::open::staged_slot(self.stage.0);
        let key = self.root.to_string();
        let row = (list, slot, self.number as i64, key, Some(body));
        let cluster = &self.stages.cluster;
        cluster.write(&cluster.statements.put_listing, row).await
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(entry) = self.stages.mine.lock().get_mut(&stage_key(self.stage.0)) {
            entry.under_way -= 1;
            if !self.whole && entry.state == State::Whole {
                entry.state = State::Broken;
            }
        }
    }
}

fn not_whole(root: JobId) -> Error {
    let what = "what was staged for tree";
    Error::Unavailable(format!("{what} {root} is not there, or not whole; stage it again"))
}
