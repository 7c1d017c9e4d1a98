use fjall::{Keyspace, Slice};
use jobtracker_model::{Category, JobId, State, Timestamp, upload::UploadId};
use serde::Serialize;

use super::{
    keys::{self, Part},
    tables::Tables,
};
use crate::{
    FollowUp, FollowUpKey, IndexId, IndexKey, Result, RootKey, Row, TreeResultRow,
    coding::{self, LineRow},
    view::ChildIndex,
};

/// Rows of one step of a chore: a batch of this many holds the writer up for a few milliseconds.
pub const STEP_ROWS: usize = 4_000;
/// Bytes after which a step ends sooner.
const STEP_BYTES: u64 = 1024 * 1024;

/// The rows that one batch will write.
pub struct Writes<'a> {
    tables: &'a Tables,
    writes: Vec<Write<'a>>,
    bytes: u64,
    /// How many rows, and bytes, there may be at the end of a step.
    most: usize,
    most_bytes: u64,
    buffer: Vec<u8>,
}

/// A row with its value; without one it is removed.
struct Write<'a> {
    keyspace: &'a Keyspace,
    key: Slice,
    value: Option<Slice>,
}

impl Write<'_> {
    /// About how much it takes in the journal.
    fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, |value| value.len()) + 20) as u64
    }
}

impl<'a> Writes<'a> {
    pub fn new(tables: &'a Tables) -> Self {
        Self::up_to(STEP_ROWS, tables)
    }

    /// For a step of about this many rows.
    pub fn up_to(most: usize, tables: &'a Tables) -> Self {
        let (writes, buffer) = (Vec::new(), Vec::new());
        Self { tables, writes, bytes: 0, most, most_bytes: STEP_BYTES, buffer }
    }

    /// Lets a step add about this many rows to what is there.
    pub fn allow(&mut self, rows: usize) {
        self.most = self.len() + rows;
        self.most_bytes = self.bytes() + STEP_BYTES;
    }

    /// Whether a step is large enough.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most || self.bytes() >= self.most_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// About how many bytes will be, or were, written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes back all but the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        self.bytes -= self.writes.drain(len..).map(|write| write.bytes()).sum::<u64>();
    }

    /// Writes them and waits until they are durable.
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

    pub fn row(&mut self, row: &Row) -> Result<()> {
        let tables = self.tables;
        match row {
            Row::Job { id, origin, definition } => {
                self.put(&tables.origins, &keys::origin(*id), origin)?;
                let key = keys::job(origin.parent, *id, Part::Definition);
                self.put(&tables.jobs, &key, &**definition)
            }
            Row::Definition { id, parent, definition } => {
                let key = keys::job(*parent, *id, Part::Definition);
                self.put(&tables.jobs, &key, &**definition)
            }
            Row::Status { id, parent, before, status } => {
                self.put(&tables.jobs, &keys::job(*parent, *id, Part::Status), status)?;
                match parent {
                    Some(parent) => self.index_child(*parent, *id, *before, status.state),
                    None if before.is_none() => {
                        let root = RootKey { time: status.create_time, id: *id };
                        self.mark(&keys::root(root));
                    }
                    None => {}
                }
                Ok(())
            }
            Row::Change { id, number, change } => {
                self.put(&tables.history, &keys::change(*id, *number), change)
            }
            Row::LogLine { id, line } => {
                let key = keys::log_line(*id, line.line);
                self.put(&tables.history, &key, &LineRow::from(line))
            }
            Row::Repeat { id, key, row } => self.put(&tables.history, &keys::repeat(*id, key), row),
            Row::Attachment { id, key, text } => {
                let text = text
                    .as_ref()
                    .map(|text| Slice::from(coding::encode_text(text, &mut self.buffer)));
                self.push(&tables.history, &keys::attachment(*id, key), text);
                Ok(())
            }
            Row::TreeResult { commit, row } => self.tree_result(commit, row),
            Row::FollowUp { id, key, before, row } => self.follow_up(*id, *key, *before, row),
            Row::Deleted { root, created, tombstone } => {
                let listed = RootKey { time: *created, id: *root };
                self.remove(&tables.index, &keys::root(listed));
                self.mark(&keys::kept_until(tombstone.until, *root));
                self.mark(&keys::removal(*root));
                self.put(&tables.index, &keys::tombstone(*root), tombstone)
            }
        }
    }

    /// A result, and the row by which it is found when it is old.
    pub fn tree_result(&mut self, commit: &UploadId, row: &TreeResultRow) -> Result<()> {
        self.mark(&keys::sent(row.time, commit));
        self.put(&self.tables.index, &keys::tree_result(commit, row.tree_result.root), row)
    }

    /// A follow-up, and its entry in a list by time.
    fn follow_up(
        &mut self,
        id: JobId,
        key: FollowUpKey,
        before: Option<(IndexId, Timestamp)>,
        row: &FollowUp,
    ) -> Result<()> {
        let place = |(index, time)| keys::entry(index, IndexKey { time, id, key });
        let (before, after) = (before.map(place), row.entry().map(place));
        if let Some(before) = before.filter(|before| after.as_ref() != Some(before)) {
            self.remove(&self.tables.index, &before);
        }
        if let Some(after) = after {
            self.mark(&after);
        }
        self.put(&self.tables.history, &keys::follow_up(id, key), row)
    }

    /// Updates the lists of unfinished and of failed children by a child's state.
    fn index_child(&mut self, parent: JobId, id: JobId, before: Option<State>, after: State) {
        let (before, after) = (before.and_then(index_of), index_of(after));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.remove(&self.tables.index, &keys::indexed(before, parent, id));
        }
        if let Some(after) = after {
            self.mark(&keys::indexed(after, parent, id));
        }
    }

    pub fn put<T: Serialize>(&mut self, keyspace: &'a Keyspace, key: &[u8], row: &T) -> Result<()> {
        let value = Slice::from(coding::encode(row, &mut self.buffer)?);
        self.push(keyspace, key, Some(value));
        Ok(())
    }

    /// Puts a row of `index` that consists of its key.
    pub fn mark(&mut self, key: &[u8]) {
        self.mark_in(&self.tables.index, key);
    }

    /// Puts a row that consists of its key.
    pub fn mark_in(&mut self, keyspace: &'a Keyspace, key: &[u8]) {
        self.push(keyspace, key, Some(Slice::from([])));
    }

    pub fn remove(&mut self, keyspace: &'a Keyspace, key: &[u8]) {
        self.push(keyspace, key, None);
    }

    fn push(&mut self, keyspace: &'a Keyspace, key: &[u8], value: Option<Slice>) {
        let write = Write { keyspace, key: Slice::from(key), value };
        self.bytes += write.bytes();
        self.writes.push(write);
    }
}

/// The index that a child in this state is in.
pub fn index_of(state: State) -> Option<ChildIndex> {
    match state.category() {
        Some(Category::Pending) => Some(ChildIndex::Pending),
        Some(Category::Failed) => Some(ChildIndex::Failed),
        Some(Category::Successful) | None => None,
    }
}
