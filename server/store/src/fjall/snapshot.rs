use std::sync::Arc;

use fjall::Readable;
use jobtracker_model::JobId;

use super::{
    failure,
    gone::Gone,
    keys,
    low_water::LowWaterMarks,
    stages::{Hidden, Stages},
    tables::{self, Tables},
};
use crate::Result;

/// One instant of the store.
#[derive(Clone)]
pub struct Snapshot {
    /// How many groups came before it.
    pub epoch: u64,
    pub rows: Arc<fjall::Snapshot>,
    /// The largest id that names a job; no id above it does, but for hidden ones.
    pub max_id: u64,
    /// Hidden jobs, though the snapshot may have rows of them.
    pub hidden: Hidden,
    /// Deleted trees, though the snapshot may have rows of them.
    pub gone: Gone,
    /// Where the lists by time begin.
    pub low_water: LowWaterMarks,
}

impl Snapshot {
    /// Whether an id names a job, visible or hidden.
    pub fn is_taken(&self, tables: &Tables, id: JobId) -> Result<bool> {
        if self.hidden.has(id) {
            return Ok(true);
        }
        Ok(id.get() <= self.max_id && tables::origin(&self.rows, tables, id)?.is_some())
    }
}

/// The state of the tables when the engine has been opened.
pub struct Present {
    rows: fjall::Snapshot,
    max_id: u64,
    hidden: Hidden,
    gone: Gone,
}

impl Present {
    pub fn read(tables: &Tables, stages: &Stages) -> Result<Self> {
        let rows = tables.database.snapshot();
        let last = rows.last_key_value(&tables.origins);
        let last = last.map(|row| keys::origin_id(&row.key().map_err(failure::reading)?));
        // A deleted tree has a version and no origin.
        let tree = rows.prefix(&tables.index, keys::all_versions()).next_back();
        let tree = tree.map(|row| keys::version_root(&row.key().map_err(failure::reading)?));
        let max_id = last.transpose()?.max(tree.transpose()?).map_or(0, JobId::get);
        stages.reload(tables, &rows)?;
        let gone = Gone::read(tables, &rows)?;
        Ok(Self { rows, max_id, hidden: Hidden::new(stages.all()), gone })
    }

    /// For tests without stages.
    #[cfg(test)]
    pub fn of_jobs(tables: &Tables, max_id: u64) -> Self {
        let (hidden, gone) = (Hidden::default(), Gone::default());
        Self { rows: tables.database.snapshot(), max_id, hidden, gone }
    }

    /// The first snapshot of it.
    pub fn snapshot(self, epoch: u64) -> Snapshot {
        let Self { rows, max_id, hidden, gone } = self;
        Snapshot {
            epoch,
            rows: Arc::new(rows),
            max_id,
            hidden,
            gone,
            low_water: LowWaterMarks::default(),
        }
    }
}
