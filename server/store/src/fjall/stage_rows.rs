use jobtracker_model::JobId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chores::{Chore, Desk, Step},
    hot_cache::HotCache,
    ids::RunsRow,
    keys,
    stages::Call,
    writes::Writes,
};
use crate::{Error, Result, Row};

/// Stages the rows of one call.
///
/// The jobs' own rows go first, with records of their ids in the same batches: for every row that
/// is there when the process ends, its job is found by a record, and its keys by the job's origin.
pub struct StageRows {
    call: Call,
    rows: Vec<Row>,
    /// How many rows have been handled, for jobs and then for the rest; `None`: nothing is done
    /// yet.
    at: Option<(usize, usize)>,
    reply: oneshot::Sender<Result<()>>,
    /// The call's permit, one of those for calls that may wait.
    _permit: OwnedSemaphorePermit,
}

impl StageRows {
    pub fn new(
        call: Call,
        rows: Vec<Row>,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self { call, rows, at: None, reply, _permit: permit }
    }

    /// Takes the ids, unless one of them is taken or a row belongs to another job. False: one of
    /// them is about to be free.
    fn hide(&self, desk: &Desk) -> Result<bool> {
        let stage = self.call.stage();
        let stale = || Error::Stale { root: stage.root() };
        let mut new: Vec<JobId> = self.rows.iter().filter_map(created).collect();
        new.sort_unstable();
        if new.windows(2).any(|two| two[0] == two[1]) {
            return Err(stale());
        }
        for id in &new {
            if desk.snapshot.hidden.is_leaving(*id) {
                return Ok(false);
            }
            if desk.snapshot.is_taken(desk.tables, *id)? {
                return Err(stale());
            }
        }
        // A result belongs to no job.
        let jobs = self.rows.iter().map(Row::job);
        if jobs.clone().any(|job| job.is_none()) || !stage.has_all(jobs.flatten(), &new) {
            return Err(stale());
        }
        stage.add(&new);
        desk.cache.hide(stage);
        Ok(true)
    }

    /// The next jobs, and the record of them.
    fn jobs<'a>(&self, mut at: usize, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<usize> {
        let mut ids = Vec::new();
        while at < self.rows.len() && !writes.is_full() {
            if let Some(id) = created(&self.rows[at]) {
                writes.row(&self.rows[at])?;
                ids.push(id);
            }
            at += 1;
        }
        if !ids.is_empty() {
            ids.sort_unstable();
            let stage = self.call.stage();
            let key = keys::staged(stage.id(), stage.next_record());
            writes.put(&desk.tables.index, &key, &RunsRow::new(&ids))?;
        }
        Ok(at)
    }

    fn others(&self, mut at: usize, writes: &mut Writes) -> Result<usize> {
        while at < self.rows.len() && !writes.is_full() {
            if created(&self.rows[at]).is_none() {
                writes.row(&self.rows[at])?;
            }
            at += 1;
        }
        Ok(at)
    }
}

impl Chore for StageRows {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        if !self.call.stage().is_open() {
            return Err(Error::Unavailable("the stage has been discarded".into()));
        }
        let (mut jobs, mut others) = match self.at {
            Some(at) => at,
            None if self.hide(desk)? => (0, 0),
            // The chore that removes them gets its turn before this one does again.
            None => return Ok(Step::More),
        };
        jobs = self.jobs(jobs, desk, writes)?;
        if jobs == self.rows.len() {
            others = self.others(others, writes)?;
        }
        self.at = Some((jobs, others));
        Ok(if others == self.rows.len() { Step::Last } else { Step::More })
    }

    fn end(self: Box<Self>, _: &HotCache, done: Result<()>) {
        if done.is_ok() {
            self.call.done();
        }
        // The caller may have gone.
        self.reply.send(done).ok();
    }
}

/// The job that a row creates.
fn created(row: &Row) -> Option<JobId> {
    match row {
        Row::Job { id, .. } => Some(*id),
        _ => None,
    }
}
