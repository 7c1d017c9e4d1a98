use std::sync::Arc;

use fjall::Readable;
use jobtracker_model::{JobId, rollup::Status};

use super::{
    chores::{Chore, Desk, Step, is_full},
    failure,
    hot_cache::HotCache,
    keys::{self, Part},
    stages::{Stage, Stages},
    tables,
    writes::{Writes, index_of},
};
use crate::{Origin, Result, RootKey};

/// Jobs that one step removes: to find their rows takes longer than to remove them.
const STEP_JOBS: usize = 256;

/// Removes the rows of a stage that was discarded or left by another process. The stage stays
/// hidden until all its rows are gone.
pub struct Clean {
    stages: Arc<Stages>,
    stage: Arc<Stage>,
    /// Jobs from this number on still have rows.
    jobs: u64,
    /// Records from this one on still exist. They go last, so that a new process would find the
    /// jobs.
    records: u64,
}

impl Clean {
    pub fn new(stages: &Arc<Stages>, stage: Arc<Stage>) -> Self {
        Self { stages: Arc::clone(stages), stage, jobs: 0, records: 0 }
    }
}

impl Chore for Clean {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let ids = self.stage.from(self.jobs, STEP_JOBS);
        for id in &ids {
            if is_full(writes) || !remove_job(desk, *id, writes)? {
                return Ok(Step::More);
            }
            self.jobs = id.get() + 1;
        }
        if !ids.is_empty() {
            return Ok(Step::More);
        }
        while self.records < self.stage.records() {
            if is_full(writes) {
                return Ok(Step::More);
            }
            writes.remove(&desk.tables.index, &keys::staged(self.stage.id(), self.records));
            self.records += 1;
        }
        Ok(Step::Last)
    }

    fn end(self: Box<Self>, cache: &HotCache, done: Result<()>) {
        match done {
            Ok(()) => {
                cache.uncover(&self.stage);
                self.stages.removed(&self.stage);
            }
            // The stage stays hidden, and the next process tries again.
            Err(error) => {
                tracing::error!(%error, "what was staged cannot be removed");
                self.stage.give_up();
            }
        }
    }

    fn makes_room(&self) -> bool {
        true
    }
}

/// Removes the rows of a job; false when some of them have to wait for another step.
fn remove_job<'a>(desk: &Desk<'a>, id: JobId, writes: &mut Writes<'a>) -> Result<bool> {
    let (tables, rows) = (desk.tables, &desk.snapshot.rows);
    let origin: Option<Origin> = tables::get(rows, &tables.origins, &keys::origin(id), "origin")?;
    // Its rows are written with the origin or after it, so there are none.
    let Some(Origin { parent, .. }) = origin else { return Ok(true) };
    for row in rows.prefix(&tables.history, keys::origin(id)) {
        if is_full(writes) {
            return Ok(false);
        }
        writes.remove(&tables.history, &row.key().map_err(failure::reading)?);
    }
    let key = keys::job(parent, id, Part::Status);
    let status: Option<Status> = tables::get(rows, &tables.jobs, &key, "status")?;
    if let Some(status) = status {
        writes.remove(&tables.jobs, &key);
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
    writes.remove(&tables.origins, &keys::origin(id));
    Ok(true)
}
