use std::vec::IntoIter;

use jobtracker_model::commit::CommitId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chores::{Chore, Desk, Step, is_full},
    front::Front,
    keys,
    moment::Moment,
    tables::{self, Tables},
    writes::Writes,
};
use crate::{CommitRow, Result, VerdictRow};

/// Refused trees of a conclusion that goes with a commit.
const SHORT: usize = 16;

/// Writes verdicts on refused trees, then that the commit is complete.
pub struct Conclude {
    row: CommitRow,
    refused: IntoIter<VerdictRow>,
    reply: oneshot::Sender<Result<()>>,
    _permit: OwnedSemaphorePermit,
}

impl Conclude {
    pub fn new(
        row: CommitRow,
        refused: Vec<VerdictRow>,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self { row, refused: refused.into_iter(), reply, _permit: permit }
    }
}

impl Chore for Conclude {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let commit = &self.row.outcome.id;
        while !is_full(writes) {
            let Some(refused) = self.refused.next() else {
                writes.mark(&keys::sending(self.row.time, commit));
                writes.put(&desk.tables.index, &keys::concluded(commit), &self.row)?;
                return Ok(Step::Last);
            };
            if !is_applied(desk.tables, desk.moment, commit, &refused)? {
                writes.verdict(commit, &refused)?;
            }
        }
        Ok(Step::More)
    }

    fn is_short(&self) -> bool {
        self.refused.len() <= SHORT
    }

    fn end(self: Box<Self>, _: &Front, done: Result<()>) {
        self.reply.send(done).ok();
    }
}

/// Whether the tree has been applied after all.
fn is_applied(
    tables: &Tables,
    moment: &Moment,
    commit: &CommitId,
    refused: &VerdictRow,
) -> Result<bool> {
    let key = keys::verdict(commit, refused.verdict.root);
    let before: Option<VerdictRow> = tables::get(&moment.snapshot, &tables.index, &key, "verdict")?;
    Ok(before.is_some_and(|before| before.verdict.is_applied()))
}
