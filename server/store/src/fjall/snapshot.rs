use std::sync::Arc;

use fjall::Readable;
use jobtracker_model::JobId;

use super::{
    failure, keys,
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
    /// Where the lists by time begin.
    pub low_water: LowWaterMarks,
}

impl Snapshot {
    /// Whether an id names a job, visible or hidden.
    pub fn is_taken(&self, tables: &Tables, id: JobId) -> Result<bool> {
        if self.hidden.has(id) {
            return Ok(true);
        }
        let stored = || tables::bytes(&self.rows, &tables.origins, &keys::origin(id));
        Ok(id.get() <= self.max_id && stored()?.is_some())
    }
}

/// The state of the tables when the engine has been opened.
pub struct Present {
    rows: fjall::Snapshot,
    max_id: u64,
    hidden: Hidden,
}

impl Present {
    pub fn read(tables: &Tables, stages: &Stages) -> Result<Self> {
        let rows = tables.database.snapshot();
        let last = rows.last_key_value(&tables.origins);
        let last = last.map(|row| keys::origin_id(&row.key().map_err(failure::reading)?));
        let max_id = last.transpose()?.map_or(0, JobId::get);
        stages.reload(tables, &rows)?;
        Ok(Self { rows, max_id, hidden: Hidden::new(stages.all()) })
    }

    /// For tests without stages.
    #[cfg(test)]
    pub fn of_jobs(tables: &Tables, max_id: u64) -> Self {
        Self { rows: tables.database.snapshot(), max_id, hidden: Hidden::default() }
    }

    /// The first snapshot of it.
    pub fn snapshot(self, epoch: u64) -> Snapshot {
        let Self { rows, max_id, hidden } = self;
        Snapshot {
            epoch,
            rows: Arc::new(rows),
            max_id,
            hidden,
            low_water: LowWaterMarks::default(),
        }
    }
}
