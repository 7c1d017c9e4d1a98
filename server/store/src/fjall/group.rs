use std::ops::ControlFlow;

use fjall::{Keyspace, Readable, Slice};
use jobtracker_model::{Category, JobId, State};
use serde::Serialize;

use super::{
    coding::{self, LineRow},
    failure,
    front::{Changed, Front, Moment},
    keys::{self, Part},
    tables::{self, Tables},
};
use crate::{Error, Origin, Result, RootKey, Row, TreeCommit, Version, view::ChildIndex};

/// Everything that one durable batch will write, and the present that it is based on.
pub struct Group<'a> {
    tables: &'a Tables,
    front: &'a Front,
    moment: &'a Moment,
    writes: Vec<Write<'a>>,
    next_id: Option<u64>,
    bytes: u64,
    buffer: Vec<u8>,
    /// What the rows will be once the batch is there.
    pub changed: Changed,
}

/// A row with its value; without one it goes away.
struct Write<'a> {
    keyspace: &'a Keyspace,
    key: Slice,
    value: Option<Slice>,
}

impl<'a> Group<'a> {
    pub fn new(tables: &'a Tables, front: &'a Front, moment: &'a Moment) -> Self {
        Self {
            tables,
            front,
            moment,
            writes: Vec::new(),
            next_id: None,
            bytes: 0,
            buffer: Vec::new(),
            changed: Changed::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.next_id.is_none()
    }

    /// About how much will be written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the group and waits until it is durable.
    pub fn commit(&mut self) -> fjall::Result<()> {
        // Rows that are neighbours go into the write buffer one after the other, while the way to
        // them is still in the processor's cache.
        self.writes.sort_unstable_by(|one, other| {
            (one.keyspace.id(), &one.key).cmp(&(other.keyspace.id(), &other.key))
        });
        let mut batch = self.tables.batch(self.writes.len());
        for Write { keyspace, key, value } in self.writes.drain(..) {
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit()
    }

    /// Takes in the changes to a tree, all of them or, on an error, none.
    pub fn add_tree(&mut self, commit: TreeCommit) -> Result<()> {
        let TreeCommit { root, expected, rows } = commit;
        if self.version(root)? != Some(expected) {
            return Err(Error::Stale { root });
        }
        let new_jobs = self.new_jobs(root, &rows)?;
        let before = self.writes.len();
        let staged = self.stage(root, expected + 1, &rows);
        if let Err(error) = staged {
            self.writes.truncate(before);
            return Err(error);
        }
        let size = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, |v| v.len());
        self.bytes +=
            self.writes[before..].iter().map(|write| size(write) as u64 + 20).sum::<u64>();
        self.changed.versions.insert(root, expected + 1);
        self.changed.created.extend(new_jobs);
        for row in rows {
            match row {
                Row::Job { id, definition, .. } | Row::Definition { id, definition, .. } => {
                    self.changed.definitions.push((id, definition));
                }
                Row::Status { id, status, .. } => self.changed.statuses.push((id, status)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The version that a tree has; none when this group changes it already.
    fn version(&self, root: JobId) -> Result<Option<Version>> {
        if self.changed.versions.contains_key(&root) {
            return Ok(None);
        }
        // A tree without a root is not there, so its version need not be looked for.
        if root.get() > self.moment.max_id {
            return Ok(Some(0));
        }
        if let Some(version) = self.front.version_at(self.moment.epoch, root) {
            return Ok(Some(version));
        }
        let key = keys::version(root);
        let version = tables::get(&self.moment.snapshot, &self.tables.index, &key, "version")?;
        Ok(Some(version.unwrap_or(0)))
    }

    /// The jobs that the rows create; stale if one of them is there by now, since the commit was
    /// computed from rows without it.
    fn new_jobs(&self, root: JobId, rows: &[Row]) -> Result<Vec<(JobId, Origin)>> {
        let mut new: Vec<(JobId, Origin)> = Vec::new();
        for row in rows {
            let Row::Job { id, origin, .. } = row else { continue };
            let stored = id.get() <= self.moment.max_id
                && tables::bytes(&self.moment.snapshot, &self.tables.origins, &keys::origin(*id))?
                    .is_some();
            if stored || self.changed.created.contains_key(id) {
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

    fn stage(&mut self, root: JobId, version: Version, rows: &[Row]) -> Result<()> {
        let tables = self.tables;
        self.put(&tables.index, &keys::version(root), &version)?;
        for row in rows {
            match row {
                Row::Job { id, origin, definition } => {
                    self.put(&tables.origins, &keys::origin(*id), origin)?;
                    let key = keys::job(origin.parent, *id, Part::Definition);
                    self.put(&tables.jobs, &key, &**definition)?;
                }
                Row::Definition { id, parent, definition } => {
                    let key = keys::job(*parent, *id, Part::Definition);
                    self.put(&tables.jobs, &key, &**definition)?;
                }
                Row::Status { id, parent, before, status } => {
                    self.put(&tables.jobs, &keys::job(*parent, *id, Part::Status), status)?;
                    match parent {
                        Some(parent) => self.index_child(*parent, *id, *before, status.state),
                        None if before.is_none() => {
                            let root = RootKey { time: status.create_time, id: *id };
                            self.push(&tables.index, &keys::root(root), Some(Slice::from([])));
                        }
                        None => {}
                    }
                }
                Row::Change { id, number, change } => {
                    self.put(&tables.history, &keys::change(*id, *number), change)?;
                }
                Row::LogLine { id, line } => {
                    let key = keys::log_line(*id, line.line);
                    self.put(&tables.history, &key, &LineRow::from(line.clone()))?;
                }
                Row::Repeat { id, key, row } => {
                    self.put(&tables.history, &keys::repeat(*id, key), row)?;
                }
                Row::Attachment { id, key, text } => {
                    let text =
                        text.as_ref().map(|text| coding::encode_text(text, &mut self.buffer));
                    self.push(&tables.history, &keys::attachment(*id, key), text);
                }
            }
        }
        Ok(())
    }

    /// Keeps the lists of unfinished and of failed children in step with a child's state.
    fn index_child(&mut self, parent: JobId, id: JobId, before: Option<State>, after: State) {
        let index = |state: State| match state.category() {
            Some(Category::Pending) => Some(ChildIndex::Pending),
            Some(Category::Failed) => Some(ChildIndex::Failed),
            Some(Category::Successful) | None => None,
        };
        let (before, after) = (before.and_then(index), index(after));
        if before == after {
            return;
        }
        let keyspace = &self.tables.index;
        if let Some(before) = before {
            self.push(keyspace, &keys::indexed(before, parent, id), None);
        }
        if let Some(after) = after {
            self.push(keyspace, &keys::indexed(after, parent, id), Some(Slice::from([])));
        }
    }

    fn put<T: Serialize>(&mut self, keyspace: &'a Keyspace, key: &[u8], row: &T) -> Result<()> {
        let value = coding::encode(row, &mut self.buffer)?;
        self.push(keyspace, key, Some(value));
        Ok(())
    }

    fn push(&mut self, keyspace: &'a Keyspace, key: &[u8], value: Option<Slice>) {
        self.writes.push(Write { keyspace, key: Slice::from(key), value });
    }

    /// Reserves ids behind all that were given out, where no job has taken them, not even one of
    /// this group: so reservations come after the trees.
    pub fn reserve(&mut self, count: u32) -> Result<JobId> {
        let stored = || {
            tables::get(&self.moment.snapshot, &self.tables.index, &keys::NEXT_ID, "next id")
                .map(|next| next.unwrap_or(JobId::MIN.get()))
        };
        let mut first = self.next_id.map_or_else(stored, Ok)?;
        let count_of = u64::from(count.max(1));
        loop {
            let free = self.gap_in_group(self.gap_in_tables(first, count_of)?, count_of);
            if free == first {
                break;
            }
            first = free;
        }
        let next = first.saturating_add(count_of);
        let exhausted = next - 1 > JobId::MAX.get();
        let id = JobId::new(first).filter(|_| !exhausted);
        let id = id.ok_or(Error::IdsExhausted(count))?;
        let key = keys::NEXT_ID;
        let keyspace = &self.tables.index;
        // A later reservation of the group takes the place of an earlier one.
        self.writes.retain(|write| *write.key != key);
        self.put(keyspace, &key, &next)?;
        self.next_id = Some(next);
        Ok(id)
    }

    /// The first number from `first` on with `count` numbers that name no job.
    fn gap_in_tables(&self, first: u64, count: u64) -> Result<u64> {
        let mut free = first;
        if first > self.moment.max_id {
            return Ok(free);
        }
        for row in self.moment.snapshot.range(&self.tables.origins, first.to_be_bytes()..) {
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
