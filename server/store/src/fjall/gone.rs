use std::{collections::BTreeSet, sync::Arc};

use fjall::Readable;
use jobtracker_model::JobId;

use super::{failure, keys, tables::Tables};
use crate::Result;

/// The roots of deleted trees of which rows are left: no reader finds a job of them. Almost always
/// there are none.
#[derive(Clone, Default)]
pub struct Gone(Option<Arc<BTreeSet<JobId>>>);

impl Gone {
    /// What is left on the disk, after the engine was opened.
    pub fn read(tables: &Tables, snapshot: &fjall::Snapshot) -> Result<Self> {
        let rows = snapshot.prefix(&tables.index, keys::all_removals());
        let root = |row: fjall::Guard| keys::removal_root(&row.key().map_err(failure::reading)?);
        Ok(Self::of(rows.map(root).collect::<Result<_>>()?))
    }

    fn of(roots: BTreeSet<JobId>) -> Self {
        Self((!roots.is_empty()).then(|| Arc::new(roots)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |roots| roots.len())
    }

    pub fn has(&self, root: JobId) -> bool {
        self.0.as_ref().is_some_and(|roots| roots.contains(&root))
    }

    pub fn iter(&self) -> impl Iterator<Item = JobId> {
        self.0.iter().flat_map(|roots| roots.iter().copied())
    }

    pub fn with(&self, more: &[JobId]) -> Self {
        if more.is_empty() {
            self.clone()
        } else {
            Self::of(self.iter().chain(more.iter().copied()).collect())
        }
    }

    pub fn without(&self, root: JobId) -> Self {
        Self::of(self.iter().filter(|gone| *gone != root).collect())
    }
}
