//! Uploads: chores that write the results of refused trees and completions, and that forget them.

use std::{ops::Bound, vec::IntoIter};

use async_trait::async_trait;
use fjall::Readable;
use jobtracker_model::{JobId, Timestamp, upload::UploadId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    FjallStore,
    chores::{Chore, Desk, Step},
    failure,
    hot_cache::HotCache,
    keys,
    snapshot::Snapshot,
    tables::{self, Tables},
    writes::{STEP_ROWS, Writes},
};
use crate::{Listed, Result, TreeResultRow, TreeResultsQuery, UploadRow, Uploads, coding, view};

#[async_trait]
impl Uploads for FjallStore {
    async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        self.ask_for(|permit, reply| CompleteUpload::new(row, refused, permit, reply)).await
    }

    async fn get_upload(&self, commit: &UploadId) -> Result<Option<UploadRow>> {
        let commit = commit.clone();
        self.ask(async move |rows| rows.completed(&commit)).await
    }

    async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>> {
        self.ask(async move |rows| view::list_tree_results(rows, &query).await).await
    }

    async fn forget_uploads(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.ask_for(|permit, reply| Forget::new(before, limit, permit, reply)).await
    }
}

/// Refused trees of a completion that goes with an upload.
const SHORT: usize = 16;

/// Writes results on refused trees, then that the upload is complete.
pub struct CompleteUpload {
    row: UploadRow,
    refused: IntoIter<TreeResultRow>,
    reply: oneshot::Sender<Result<()>>,
    _permit: OwnedSemaphorePermit,
}

impl CompleteUpload {
    pub fn new(
        row: UploadRow,
        refused: Vec<TreeResultRow>,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self { row, refused: refused.into_iter(), reply, _permit: permit }
    }
}

impl Chore for CompleteUpload {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let upload = &self.row.outcome.id;
        while !writes.is_full() {
            let Some(refused) = self.refused.next() else {
                writes.mark(&keys::sent(self.row.time, upload));
                writes.put(&desk.tables.index, &keys::completed(upload), &self.row)?;
                return Ok(Step::Last);
            };
            if !is_applied(desk.tables, desk.snapshot, upload, &refused)? {
                writes.tree_result(upload, &refused)?;
            }
        }
        Ok(Step::More)
    }

    fn is_short(&self) -> bool {
        self.refused.len() <= SHORT
    }

    fn end(self: Box<Self>, _: &HotCache, done: Result<()>) {
        self.reply.send(done).ok();
    }
}

/// Whether the tree has been applied after all.
fn is_applied(
    tables: &Tables,
    snapshot: &Snapshot,
    upload: &UploadId,
    refused: &TreeResultRow,
) -> Result<bool> {
    let key = keys::tree_result(upload, refused.tree_result.root);
    let before: Option<TreeResultRow> =
        tables::get(&snapshot.rows, &tables.index, &key, "tree result")?;
    Ok(before.is_some_and(|before| before.tree_result.is_applied()))
}

/// Forgets uploads that were sent before some time, oldest first.
///
/// An upload that was sent twice is there twice. Each takes the rows of its own time, and older
/// ones, with it: rows that were sent again
/// later stay.
pub struct Forget {
    before: Timestamp,
    limit: usize,
    forgotten: usize,
    /// The key of the one that is being forgotten, or was last, and how far that has got.
    key: Vec<u8>,
    of: Option<Sent>,
    reply: oneshot::Sender<Result<usize>>,
    _permit: OwnedSemaphorePermit,
}

struct Sent {
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
        let (key, of) = (keys::first_sent().to_vec(), None);
        Self { before, limit, forgotten: 0, key, of, reply, _permit: permit }
    }

    /// The next one that is old enough.
    fn next(&mut self, desk: &Desk) -> Result<Option<Sent>> {
        let end = keys::sent_before(self.before);
        let behind = (Bound::Excluded(self.key.as_slice()), Bound::Excluded(&end[..]));
        if self.forgotten >= self.limit {
            return Ok(None);
        }
        let mut rows = desk.snapshot.rows.range::<&[u8], _>(&desk.tables.index, behind);
        let Some(row) = rows.next() else { return Ok(None) };
        let key = row.key().map_err(failure::reading)?;
        let (time, commit) = keys::sent_of(&key)?;
        self.key = key.to_vec();
        Ok(Some(Sent { time, commit, after: None }))
    }
}

impl Sent {
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
            if writes.is_full() || looked == STEP_ROWS {
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

    fn remove_completion<'a>(&self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<()> {
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
            let mut sent = match self.of.take() {
                Some(sent) => sent,
                None => match self.next(desk)? {
                    Some(sent) => sent,
                    None => return Ok(Step::Last),
                },
            };
            if !sent.remove_tree_results(desk, writes)? || writes.is_full() {
                self.of = Some(sent);
                return Ok(Step::More);
            }
            sent.remove_completion(desk, writes)?;
            writes.remove(&desk.tables.index, &self.key);
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
