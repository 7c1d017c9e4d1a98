use std::sync::Arc;

use fjall::{Readable, Snapshot};
use jobtracker_model::JobId;

use super::{
    failure,
    firsts::Firsts,
    keys,
    stages::{Hidden, Stages},
    tables::{self, Tables},
};
use crate::Result;

/// One instant of the store.
#[derive(Clone)]
pub struct Moment {
    /// How many groups came before it.
    pub epoch: u64,
    pub snapshot: Arc<Snapshot>,
    /// The largest id that names a job; no id above it does, but for hidden ones.
    pub max_id: u64,
    /// Jobs that are not to be seen, though the snapshot may have rows of them.
    pub hidden: Hidden,
    /// Where the lists by time begin.
    pub firsts: Firsts,
}

impl Moment {
    /// Whether an id names a job, be it one that is not to be seen.
    pub fn is_taken(&self, tables: &Tables, id: JobId) -> Result<bool> {
        if self.hidden.has(id) {
            return Ok(true);
        }
        let stored = || tables::bytes(&self.snapshot, &tables.origins, &keys::origin(id));
        Ok(id.get() <= self.max_id && stored()?.is_some())
    }
}

/// What is there when the engine has been opened.
pub struct Present {
    snapshot: Snapshot,
    max_id: u64,
    hidden: Hidden,
}

impl Present {
    pub fn read(tables: &Tables, stages: &Stages) -> Result<Self> {
        let snapshot = tables.database.snapshot();
        let last = snapshot.last_key_value(&tables.origins);
        let last = last.map(|row| keys::origin_id(&row.key().map_err(failure::reading)?));
        let max_id = last.transpose()?.map_or(0, JobId::get);
        stages.reload(tables, &snapshot)?;
        Ok(Self { snapshot, max_id, hidden: Hidden::new(stages.all()) })
    }

    /// For tests of what is in the way of no stage.
    #[cfg(test)]
    pub fn of_jobs(tables: &Tables, max_id: u64) -> Self {
        Self { snapshot: tables.database.snapshot(), max_id, hidden: Hidden::default() }
    }

    /// The first moment of it.
    pub fn moment(self, epoch: u64) -> Moment {
        let Self { snapshot, max_id, hidden } = self;
        Moment { epoch, snapshot: Arc::new(snapshot), max_id, hidden, firsts: Firsts::default() }
    }
}
