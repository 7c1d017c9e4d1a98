use std::{ops::ControlFlow, sync::Arc};

use fjall::Readable;
use jobtracker_model::JobId;

use super::{
    chores::{Chore, Desk, Step},
    documents::ChangedDocuments,
    failure,
    hot_cache::{Changed, HotCache},
    keys,
    snapshot::Snapshot,
    stages::{Stage, Stages},
    tables::{self, Tables},
    writes::Writes,
};
use crate::{DocumentChange, Error, FollowUp, Origin, Result, Row, TreeCommit, Version};

/// All that one durable batch will write, and the present that it is based on.
pub struct Group<'a> {
    tables: &'a Tables,
    cache: &'a HotCache,
    stages: &'a Stages,
    snapshot: &'a Snapshot,
    pub writes: Writes<'a>,
    next_id: Option<u64>,
    documents: ChangedDocuments,
    /// The rows as they will be once the batch is durable.
    pub changed: Changed,
}

impl<'a> Group<'a> {
    pub fn new(
        tables: &'a Tables,
        cache: &'a HotCache,
        stages: &'a Stages,
        snapshot: &'a Snapshot,
    ) -> Self {
        let (writes, changed) = (Writes::new(tables), Changed::default());
        let documents = ChangedDocuments::default();
        Self { tables, cache, stages, snapshot, writes, next_id: None, documents, changed }
    }

    /// Takes in the changes to a tree, all of them or, on an error, none.
    pub fn add_tree(&mut self, commit: TreeCommit) -> Result<()> {
        let TreeCommit { root, expected, rows, publishes } = commit;
        if self.version(root)? != Some(expected) {
            return Err(Error::Stale { root });
        }
        let new_jobs = self.new_jobs(root, &rows)?;
        let before = self.writes.len();
        let published = self.plan(root, expected + 1, &rows).and_then(|()| {
            // Last, since it cannot be undone.
            publishes.map(|stage| self.stages.publish(stage, root)).transpose()
        });
        let published = published.inspect_err(|_| self.writes.truncate(before))?;
        if let Some(stage) = published {
            self.publish(stage);
        }
        self.changed.versions.insert(root, expected + 1);
        self.changed.created.extend(new_jobs);
        for row in rows {
            match row {
                Row::Job { id, definition, .. } | Row::Definition { id, definition, .. } => {
                    self.changed.definitions.push((id, definition));
                }
                Row::Status { id, status, .. } => self.changed.statuses.push((id, status)),
                Row::FollowUp { id, row: FollowUp::Watch(watch), .. } => {
                    self.changed.watches.push((id, watch));
                }
                Row::Deleted { root, .. } => self.changed.deleted.push(root),
                row => row.entry().into_iter().for_each(|place| self.changed.listed.add(place)),
            }
        }
        Ok(())
    }

    /// Takes in the change of a document.
    pub fn change_document(&mut self, change: DocumentChange) -> Result<()> {
        self.documents.add(self.snapshot, self.tables, change)
    }

    /// Takes in a step of a chore, of about this many rows; answers how many it has.
    pub fn add_step(
        &mut self,
        desk: &Desk<'a>,
        chore: &mut dyn Chore,
        rows: usize,
    ) -> Result<(Step, usize)> {
        let before = self.writes.len();
        self.writes.allow(rows);
        let planned = chore.plan(desk, &mut self.writes);
        let step = planned.inspect_err(|_| self.writes.truncate(before))?;
        Ok((step, self.writes.len() - before))
    }

    /// The version that a tree has; `None` when this group changes it already.
    fn version(&self, root: JobId) -> Result<Option<Version>> {
        if self.changed.versions.contains_key(&root) {
            return Ok(None);
        }
        // A tree without a root does not exist, so its version need not be read.
        if root.get() > self.snapshot.max_id {
            return Ok(Some(0));
        }
        if let Some(version) = self.cache.version_at(self.snapshot.epoch, root) {
            return Ok(Some(version));
        }
        let key = keys::version(root);
        let version = tables::get(&self.snapshot.rows, &self.tables.index, &key, "version")?;
        Ok(Some(version.unwrap_or(0)))
    }

    /// The jobs that the rows create; stale if one of them exists by now, since the commit was
    /// computed from rows without it.
    fn new_jobs(&self, root: JobId, rows: &[Row]) -> Result<Vec<(JobId, Origin)>> {
        let mut new: Vec<(JobId, Origin)> = Vec::new();
        for row in rows {
            let Row::Job { id, origin, .. } = row else { continue };
            if self.snapshot.is_taken(self.tables, *id)? || self.changed.created.contains_key(id) {
                return Err(Error::Stale { root });
            }
            new.push((*id, *origin));
        }
        new.sort_unstable_by_key(|(id, _)| *id);
        if new.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(Error::Stale { root });
        }
        Ok(new)
    }

    fn plan(&mut self, root: JobId, version: Version, rows: &[Row]) -> Result<()> {
        self.writes.put(&self.tables.index, &keys::version(root), &version)?;
        rows.iter().try_for_each(|row| self.writes.row(row))
    }

    /// Its rows are where they belong; without the records of their ids they are like all others.
    fn publish(&mut self, stage: Arc<Stage>) {
        for record in 0..stage.records() {
            self.writes.remove(&self.tables.index, &keys::staged(stage.id(), record));
        }
        self.changed.published.push(stage);
    }

    /// Reserves ids behind all that were given out, where no job has taken them, not even one of
    /// this group: so reservations come after the trees.
    pub fn reserve(&mut self, count: u32) -> Result<JobId> {
        let stored = || tables::next_id(&self.snapshot.rows, self.tables);
        let mut first = self.next_id.map_or_else(stored, Ok)?;
        let count_of = u64::from(count.max(1));
        loop {
            let free = self.snapshot.hidden.gap(first, count_of);
            let free = self.gap_in_group(self.gap_in_tables(free, count_of)?, count_of);
            if free == first {
                break;
            }
            first = free;
        }
        let next = first.saturating_add(count_of);
        let exhausted = next - 1 > JobId::MAX.get();
        let id = JobId::new(first).filter(|_| !exhausted);
        let id = id.ok_or(Error::IdsExhausted(count))?;
        self.next_id = Some(next);
        Ok(id)
    }

    /// Adds the ids that were given out, and the documents, to the rows. Comes last.
    pub fn finish(&mut self) -> Result<()> {
        std::mem::take(&mut self.documents).write(self.tables, &mut self.writes)?;
        let next = self.next_id.take();
        let put = |next| self.writes.put(&self.tables.index, &keys::NEXT_ID, &next);
        next.map_or(Ok(()), put)
    }

    /// The first number from `first` on with `count` numbers that name no job.
    fn gap_in_tables(&self, first: u64, count: u64) -> Result<u64> {
        let mut free = first;
        if first > self.snapshot.max_id {
            return Ok(free);
        }
        for row in self.snapshot.rows.range(&self.tables.origins, first.to_be_bytes()..) {
            let id = keys::origin_id(&row.key().map_err(failure::reading)?)?;
            if step_over(id, &mut free, count).is_break() {
                break;
            }
        }
        Ok(free)
    }

    fn gap_in_group(&self, first: u64, count: u64) -> u64 {
        let mut free = first;
        let mut new: Vec<JobId> = self.changed.created.keys().copied().collect();
        new.retain(|id| id.get() >= first);
        new.sort_unstable();
        for id in new {
            if step_over(id, &mut free, count).is_break() {
                break;
            }
        }
        free
    }
}

/// Moves the begin of a gap behind an id that lies in it.
fn step_over(id: JobId, free: &mut u64, count: u64) -> ControlFlow<()> {
    if id.get() >= free.saturating_add(count) {
        return ControlFlow::Break(());
    }
    *free = id.get() + 1;
    ControlFlow::Continue(())
}
