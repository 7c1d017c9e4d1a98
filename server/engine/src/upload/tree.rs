use std::sync::Arc;

use jobtracker_model::{JobId, NewChange, Timestamp, rollup::GrowthStep, upload::UploadId};
use jobtracker_store::Row;

use super::{Stage, follow_ups::Upcoming, receiving::Receiving};

/// A tree of an upload, ready to be applied.
#[derive(Debug)]
pub(crate) struct UploadTree {
    pub root: JobId,
    /// The checksum of the tree's records, so that another tree under the same name is noticed.
    pub checksum: u64,
    /// When the upload began to come in.
    pub received: Timestamp,
    /// New jobs, and their changes without the creations.
    pub jobs: u64,
    pub changes: u64,
    /// Rows of new jobs that are not staged.
    pub rows: Vec<Row>,
    /// Checks and deliveries of new jobs, staged or not.
    pub upcoming: Upcoming,
    /// The staged rows.
    pub stage: Option<Stage>,
    /// The steps of existing jobs, in order.
    pub steps: Vec<Step>,
    /// About how much memory the tree takes.
    pub bytes: usize,
    /// Held until the tree has its result, and dropped last: until then its upload cannot begin to
    /// come in again.
    pub receiving: Arc<Receiving>,
}

/// A step of an existing job.
#[derive(Debug)]
pub(crate) struct Step {
    /// The number of the record that the step comes from; for a growth, of the tree's begin.
    pub position: u64,
    pub id: JobId,
    pub what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The job reported a state.
    Report { change: NewChange, time: Timestamp },
    /// The job has new branches below it.
    Growth(GrowthStep),
    /// The job has new options.
    Options(Option<String>),
    /// The job has a new line in its log.
    Line { time: Timestamp, text: String },
}

impl UploadTree {
    /// The upload to which the tree belongs.
    pub fn commit(&self) -> &UploadId {
        &self.receiving.id
    }

    /// The new jobs whose rows are not staged.
    pub fn created(&self) -> impl Iterator<Item = JobId> {
        self.rows.iter().filter_map(|row| match row {
            Row::Job { id, .. } => Some(*id),
            _ => None,
        })
    }
}
