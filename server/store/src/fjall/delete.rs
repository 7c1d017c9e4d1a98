//! Deleted trees: chores that remove what they have occupied, and that forget them.

use std::ops::Bound;

use fjall::{Readable, Slice};
use jobtracker_model::{JobId, Order, Timestamp, rollup::Status};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chores::{Chore, Desk, Step},
    failure,
    hot_cache::HotCache,
    job_rows::{IdStays, JobRows},
    keys::{self, Part},
    tables,
    writes::Writes,
};
use crate::{Result, coding};

/// Jobs that one step removes at most.
const STEP_JOBS: usize = 2_000;

/// Removes the rows of a deleted tree, each job after those below it: whenever the process ends,
/// what is left is still found from the root. Readers have not found any of it since the commit
/// that deleted the tree.
pub struct Delete {
    root: JobId,
    /// The job that is being removed.
    job: Option<JobRows>,
    /// Jobs whose children are being removed, the lowest last; empty before the first step.
    levels: Vec<Level>,
}

struct Level {
    id: JobId,
    parent: Option<JobId>,
    status: Status,
    /// The last child that was removed, or begun with.
    after: Option<JobId>,
}

impl Delete {
    pub fn new(root: JobId) -> Self {
        Self { root, job: None, levels: Vec::new() }
    }

    /// Begins with the root; false when it is gone.
    fn begin(&mut self, desk: &Desk) -> Result<bool> {
        let key = keys::job(None, self.root, Part::Status);
        let status = tables::get(&desk.snapshot.rows, &desk.tables.jobs, &key, "status")?;
        let level = |status| Level { id: self.root, parent: None, status, after: None };
        self.levels.extend(status.map(level));
        Ok(!self.levels.is_empty())
    }

    /// Removes children of the lowest level without children of their own, up to the first that
    /// has some, which becomes the lowest level, or to the last, after which the level's job itself
    /// is next. At most `jobs`; answers how many.
    fn remove_children<'a>(
        &mut self,
        desk: &Desk<'a>,
        ids: IdStays,
        jobs: usize,
        writes: &mut Writes<'a>,
    ) -> Result<usize> {
        let Some(level) = self.levels.last_mut() else { return Ok(0) };
        let (first, last) = keys::children(level.id, level.after, Order::Oldest);
        let mut rows = desk.snapshot.rows.range(&desk.tables.jobs, first..=last);
        let mut removed = 0;
        while removed < jobs && !writes.is_full() {
            let Some((id, status)) = next_child(&mut rows)? else {
                let Level { id, parent, status, .. } =
                    self.levels.pop().expect("the lowest level is there");
                self.job = Some(JobRows::of(id, parent, status));
                return Ok(removed);
            };
            level.after = Some(id);
            // What is staged below the tree is removed when its stage is discarded.
            if let Some(end) = desk.snapshot.hidden.run_end(id, Order::Oldest) {
                level.after = Some(end);
                return Ok(removed.max(1));
            }
            let parent = Some(level.id);
            if status.subtree.total > 0 {
                self.levels.push(Level { id, parent, status, after: None });
                return Ok(removed);
            }
            let mut job = JobRows::of(id, parent, status);
            if !job.remove(desk, ids, writes)? {
                self.job = Some(job);
                return Ok(removed);
            }
            desk.cache.evict(id);
            removed += 1;
        }
        Ok(removed)
    }
}

impl Chore for Delete {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let is_begun = !self.levels.is_empty() || self.job.is_some();
        if !is_begun && !self.begin(desk)? {
            writes.remove(&desk.tables.index, &keys::removal(self.root));
            return Ok(Step::Last);
        }
        let next = tables::next_id(&desk.snapshot.rows, desk.tables)?;
        let ids = IdStays::From(next);
        let mut jobs = 0;
        while jobs < STEP_JOBS && !writes.is_full() {
            let Some(job) = &mut self.job else {
                jobs += self.remove_children(desk, ids, STEP_JOBS - jobs, writes)?;
                continue;
            };
            if !job.remove(desk, ids, writes)? {
                break;
            }
            desk.cache.evict(job.id);
            jobs += 1;
            self.job = None;
            if self.levels.is_empty() {
                writes.remove(&desk.tables.index, &keys::removal(self.root));
                return Ok(Step::Last);
            }
        }
        Ok(Step::More)
    }

    fn end(self: Box<Self>, cache: &HotCache, done: Result<()>) {
        match done {
            Ok(()) => cache.removed(self.root),
            // The tree stays hidden, and the next process tries again.
            Err(error) => {
                tracing::error!(root = %self.root, %error, "a deleted tree cannot be removed");
            }
        }
    }

    fn makes_room(&self) -> bool {
        true
    }
}

/// The next child of a list with its status, which stands behind its definition.
fn next_child(rows: &mut impl Iterator<Item = fjall::Guard>) -> Result<Option<(JobId, Status)>> {
    for row in rows {
        let (key, value): (Slice, Slice) = row.into_inner().map_err(failure::reading)?;
        if let (id, Part::Status) = keys::child(&key)? {
            return Ok(Some((id, coding::decode("status", &value)?)));
        }
    }
    Ok(None)
}

/// Forgets tombstones whose time is over.
pub struct ForgetTombstones {
    now: Timestamp,
    limit: usize,
    forgotten: usize,
    /// The key of the last one that was forgotten or left.
    key: Vec<u8>,
    reply: oneshot::Sender<Result<usize>>,
    _permit: OwnedSemaphorePermit,
}

impl ForgetTombstones {
    pub fn new(
        now: Timestamp,
        limit: usize,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<usize>>,
    ) -> Self {
        let key = keys::first_kept_until().to_vec();
        Self { now, limit, forgotten: 0, key, reply, _permit: permit }
    }
}

impl Chore for ForgetTombstones {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let index = &desk.tables.index;
        let end = keys::kept_until_before(self.now);
        let behind = (Bound::Excluded(self.key.clone()), Bound::Excluded(end.to_vec()));
        for row in desk.snapshot.rows.range::<Vec<u8>, _>(index, behind) {
            if self.forgotten >= self.limit {
                break;
            }
            if writes.is_full() {
                return Ok(Step::More);
            }
            let key = row.key().map_err(failure::reading)?;
            let root = keys::kept_root(&key)?;
            self.key = key.to_vec();
            if desk.snapshot.gone.has(root) {
                continue;
            }
            writes.remove(index, &key);
            writes.remove(index, &keys::tombstone(root));
            writes.remove(index, &keys::version(root));
            desk.cache.forget_version(root);
            self.forgotten += 1;
        }
        Ok(Step::Last)
    }

    fn end(self: Box<Self>, _: &HotCache, done: Result<()>) {
        self.reply.send(done.map(|()| self.forgotten)).ok();
    }

    fn makes_room(&self) -> bool {
        true
    }
}
