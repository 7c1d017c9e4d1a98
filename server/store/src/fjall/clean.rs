use std::sync::Arc;

use super::{
    chores::{Chore, Desk, Step},
    hot_cache::HotCache,
    job_rows::{IdStays, JobRows},
    keys,
    stages::{Stage, Stages},
    writes::Writes,
};
use crate::Result;

/// Jobs that one step removes: to find their rows takes longer than to remove them.
const STEP_JOBS: usize = 256;

/// Removes the rows of a stage that was discarded or left by another process. The stage stays
/// hidden until all its rows are gone.
pub struct Clean {
    stages: Arc<Stages>,
    stage: Arc<Stage>,
    /// Jobs from this number on still have rows, but for the one that is being removed.
    jobs: u64,
    job: Option<JobRows>,
    /// Records from this one on still exist. They go last, so that a new process would find the
    /// jobs.
    records: u64,
}

impl Clean {
    pub fn new(stages: &Arc<Stages>, stage: Arc<Stage>) -> Self {
        Self { stages: Arc::clone(stages), stage, jobs: 0, job: None, records: 0 }
    }
}

impl Chore for Clean {
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step> {
        let ids = self.stage.from(self.jobs, STEP_JOBS);
        for id in &ids {
            if writes.is_full() {
                return Ok(Step::More);
            }
            if self.job.as_ref().is_none_or(|job| job.id != *id) {
                self.job = JobRows::find(desk, *id)?;
            }
            if let Some(job) = &mut self.job
                && !job.remove(desk, IdStays::No, writes)?
            {
                return Ok(Step::More);
            }
            self.jobs = id.get() + 1;
        }
        if !ids.is_empty() {
            return Ok(Step::More);
        }
        while self.records < self.stage.records() {
            if writes.is_full() {
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
