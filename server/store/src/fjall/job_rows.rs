use fjall::Readable;
use jobtracker_model::{JobId, rollup::Status};

use super::{
    chores::Desk,
    failure,
    keys::{self, Part},
    tables,
    writes::{Writes, index_of},
};
use crate::{FollowUp, IndexKey, Origin, Result, RootKey, coding};

/// Removes the rows of one job, over several steps where it has many.
pub struct JobRows {
    pub id: JobId,
    parent: Option<JobId>,
    /// None: it was staged and not finished, so that what it has is not known.
    status: Option<Status>,
    /// The last row of its history that was removed.
    history: Vec<u8>,
}

/// What stays of the id of a job that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdStays {
    /// Nothing: the job was never visible, and its id is free again.
    No,
    /// The id is never given out again. From this number on that takes a row, without which the
    /// store would come to the id.
    From(u64),
}

impl JobRows {
    /// The rows of a job that is there as a whole.
    pub fn of(id: JobId, parent: Option<JobId>, status: Status) -> Self {
        Self { id, parent, status: Some(status), history: Vec::new() }
    }

    /// The rows of a job of which some may be missing; `None` if all are.
    pub fn find(desk: &Desk, id: JobId) -> Result<Option<Self>> {
        let (tables, rows) = (desk.tables, &desk.snapshot.rows);
        // Its rows are written with the origin or after it.
        let Some(Origin { parent, .. }) = tables::origin(rows, tables, id)? else {
            return Ok(None);
        };
        let key = keys::job(parent, id, Part::Status);
        let status = tables::get(rows, &tables.jobs, &key, "status")?;
        Ok(Some(Self { id, parent, status, history: Vec::new() }))
    }

    /// Plans to remove as much as fits into the step; true when that is all.
    pub fn remove<'a>(
        &mut self,
        desk: &Desk<'a>,
        ids: IdStays,
        writes: &mut Writes<'a>,
    ) -> Result<bool> {
        if self.status.as_ref().is_none_or(has_history) && !self.remove_history(desk, writes)? {
            return Ok(false);
        }
        let Self { id, parent, .. } = *self;
        let tables = desk.tables;
        if let Some(status) = &self.status {
            writes.remove(&tables.jobs, &keys::job(parent, id, Part::Status));
            match parent {
                Some(parent) => {
                    if let Some(index) = index_of(status.state) {
                        writes.remove(&tables.index, &keys::indexed(index, parent, id));
                    }
                }
                None => {
                    let root = RootKey { time: status.create_time, id };
                    writes.remove(&tables.index, &keys::root(root));
                }
            }
        }
        writes.remove(&tables.jobs, &keys::job(parent, id, Part::Definition));
        match ids {
            IdStays::From(first) if id.get() >= first => {
                writes.mark_in(&tables.origins, &keys::origin(id));
            }
            _ => writes.remove(&tables.origins, &keys::origin(id)),
        }
        Ok(true)
    }

    fn remove_history<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<bool> {
        let (tables, id) = (desk.tables, self.id);
        let first = if self.history.is_empty() {
            keys::origin(id).to_vec()
        } else {
            [self.history.as_slice(), &[0]].concat()
        };
        // Keys begin with the id, so all of them come before the next id alone.
        let end = keys::after(id);
        for row in desk.snapshot.rows.range(&tables.history, first..end) {
            if writes.is_full() {
                return Ok(false);
            }
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            if keys::is_follow_up(&key) {
                let follow_up: FollowUp = coding::decode("follow-up", &value)?;
                let at = keys::follow_up_key(&key)?;
                if let Some((index, time)) = follow_up.entry() {
                    let entry = keys::entry(index, IndexKey { time, id, key: at });
                    writes.remove(&tables.index, &entry);
                }
            }
            writes.remove(&tables.history, &key);
            self.history.clear();
            self.history.extend_from_slice(&key);
        }
        Ok(true)
    }
}

/// Whether a job has rows besides its definition and status. The creation is no row.
fn has_history(status: &Status) -> bool {
    let Status { changes, log_lines, attachments, flags, .. } = status;
    *changes > 1 || *log_lines > 0 || *attachments > 0 || flags.followed
}
