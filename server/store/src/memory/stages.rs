use std::collections::BTreeSet;

use jobtracker_model::JobId;

use super::rows::{Rows, Stage};
use crate::{Error, Result, Row, StageId};

impl Rows {
    /// Stages rows, or none of them.
    pub(super) fn stage_rows(&mut self, id: StageId, root: JobId, rows: Vec<Row>) -> Result<()> {
        let new = || Stage { root, rows: vec![], ids: BTreeSet::new(), broken: false };
        let stage = self.stages.entry(id).or_insert_with(new);
        if stage.broken || stage.root != root {
            return Err(not_whole(root));
        }
        let Some(ids) = self.new_ids(id, &rows) else {
            self.stages.entry(id).and_modify(|stage| stage.broken = true);
            return Err(Error::Stale { root });
        };
        if let Some(stage) = self.stages.get_mut(&id) {
            stage.ids.extend(ids);
            stage.rows.extend(rows);
        }
        Ok(())
    }

    /// The jobs that rows create; `None` if one of them is there already, or if a row belongs to
    /// another job.
    fn new_ids(&self, stage: StageId, rows: &[Row]) -> Option<BTreeSet<JobId>> {
        let mut ids = BTreeSet::new();
        for row in rows {
            if let Row::Job { id, .. } = row
                && (self.is_taken(*id) || !ids.insert(*id))
            {
                return None;
            }
        }
        let before = self.stages.get(&stage).map(|stage| &stage.ids);
        let has = |id| ids.contains(&id) || before.is_some_and(|before| before.contains(&id));
        rows.iter().all(|row| row.job().is_some_and(has)).then_some(ids)
    }

    /// Takes the rows of a stage, for the tables that they belong in.
    pub(super) fn publish(&mut self, id: StageId, root: JobId) -> Result<Vec<Row>> {
        let whole = |stage: &Stage| stage.root == root && !stage.broken;
        if !self.stages.get(&id).is_some_and(whole) {
            return Err(not_whole(root));
        }
        Ok(self.stages.remove(&id).map(|stage| stage.rows).unwrap_or_default())
    }

    /// Whether an id names a job, visible or staged.
    pub(super) fn is_taken(&self, id: JobId) -> bool {
        self.origins.contains_key(&id) || self.stages.values().any(|stage| stage.ids.contains(&id))
    }

    /// The largest id in a block that names a job, visible or staged, or has named one.
    pub(super) fn last_taken(&self, first: JobId, last: JobId) -> Option<JobId> {
        let there = self.origins.range(first..=last).next_back().map(|(id, _)| *id);
        let there = there.max(self.deleted_ids.range(first..=last).next_back().copied());
        let staged = self.stages.values();
        staged
            .filter_map(|stage| stage.ids.range(first..=last).next_back().copied())
            .fold(there, |found, id| found.max(Some(id)))
    }
}

fn not_whole(root: JobId) -> Error {
    let what = "what was staged for tree";
    Error::Unavailable(format!("{what} {root} is not there, or not whole; stage it again"))
}
