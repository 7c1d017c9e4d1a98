use std::vec::IntoIter;

use jobtracker_model::upload::UploadId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chores::{Chore, Desk, Step, is_full},
    hot_cache::HotCache,
    keys,
    snapshot::Snapshot,
    tables::{self, Tables},
    writes::Writes,
};
use crate::{Result, TreeResultRow, UploadRow};

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
        while !is_full(writes) {
            let Some(refused) = self.refused.next() else {
                writes.mark(&keys::sending(self.row.time, upload));
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
