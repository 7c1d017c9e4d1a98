use std::ops::Bound;

use fjall::Readable;
use jobtracker_model::{JobId, Timestamp, upload::UploadId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chores::{Chore, Desk, STEP_ROWS, Step, is_full},
    failure,
    hot_cache::HotCache,
    keys, tables,
    writes::Writes,
};
use crate::{Result, TreeResultRow, UploadRow, coding};

/// Forgets uploads that were sent before some time, oldest first.
///
/// A sending takes the rows of its own time, and older ones, with it: rows that were sent again
/// later stay.
pub struct Forget {
    before: Timestamp,
    limit: usize,
    forgotten: usize,
    /// The key of the sending that is being forgotten, or was last, and how far that has got.
    sending: Vec<u8>,
    of: Option<Sending>,
    reply: oneshot::Sender<Result<usize>>,
    _permit: OwnedSemaphorePermit,
}

struct Sending {
    time: Timestamp,
    commit: UploadId,
    /// The last root whose result was read.
    after: Option<JobId>,
}

impl Forget {
    pub fn new(
        before: Timestamp,
        limit: usize,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<usize>>,
    ) -> Self {
        let (sending, of) = (keys::first_sending().to_vec(), None);
        Self { before, limit, forgotten: 0, sending, of, reply, _permit: permit }
    }

    /// The next sending that is old enough.
    fn next(&mut self, desk: &Desk) -> Result<Option<Sending>> {
        let end = keys::sendings_end(self.before);
        let behind = (Bound::Excluded(self.sending.as_slice()), Bound::Excluded(&end[..]));
        if self.forgotten >= self.limit {
            return Ok(None);
        }
        let mut rows = desk.snapshot.rows.range::<&[u8], _>(&desk.tables.index, behind);
        let Some(row) = rows.next() else { return Ok(None) };
        let key = row.key().map_err(failure::reading)?;
        let (time, commit) = keys::sending_of(&key)?;
        self.sending = key.to_vec();
        Ok(Some(Sending { time, commit, after: None }))
    }
}

impl Sending {
    /// Removes results, as many as fit into a step; true when none is left.
    fn remove_tree_results<'a>(
        &mut self,
        desk: &Desk<'a>,
        writes: &mut Writes<'a>,
    ) -> Result<bool> {
        let index = &desk.tables.index;
        let (first, last) = keys::tree_results(&self.commit, self.after);
        let rows = desk.snapshot.rows.range(index, first..=last);
        for (looked, row) in rows.enumerate() {
            if is_full(writes) || looked == STEP_ROWS {
                return Ok(false);
            }
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            let row: TreeResultRow = coding::decode("tree result", &value)?;
            if row.time <= self.time {
                writes.remove(index, &key);
            }
            self.after = Some(row.tree_result.root);
        }
        Ok(true)
    }

    fn remove_conclusion<'a>(&self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<()> {
        let index = &desk.tables.index;
        let key = keys::completed(&self.commit);
        let row: Option<UploadRow> =
            tables::get(&desk.snapshot.rows, index, &key, "completed commit")?;
        if row.is_some_and(|row| row.time <= self.time) {
            writes.remove(index, &key);
        }
        Ok(())
    }
}

impl Chore for Forget {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        loop {
            let mut sending = match self.of.take() {
                Some(sending) => sending,
                None => match self.next(desk)? {
                    Some(sending) => sending,
                    None => return Ok(Step::Last),
                },
            };
            if !sending.remove_tree_results(desk, writes)? || is_full(writes) {
                self.of = Some(sending);
                return Ok(Step::More);
            }
            sending.remove_conclusion(desk, writes)?;
            writes.remove(&desk.tables.index, &self.sending);
            self.forgotten += 1;
        }
    }

    fn end(self: Box<Self>, _: &HotCache, done: Result<()>) {
        self.reply.send(done.map(|()| self.forgotten)).ok();
    }

    fn makes_room(&self) -> bool {
        true
    }
}
