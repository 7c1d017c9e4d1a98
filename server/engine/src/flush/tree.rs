use std::sync::Arc;

use jobtracker_model::{JobId, NewChange, Timestamp, rollup::GrowthStep, upload::UploadId};
use jobtracker_store::Row;

use super::{Stage, begin::Receiving, follow_ups::Upcoming};

/// A tree of an upload, ready to be applied.
#[derive(Debug)]
pub(crate) struct TreeFlush {
    pub root: JobId,
    /// Of the tree's records, so that another tree under the same name is noticed.
    pub checksum: u64,
    /// When the upload began to come in.
    pub received: Timestamp,
    /// New jobs, and their changes without the creations.
    pub jobs: u64,
    pub changes: u64,
    /// Rows of new jobs that have not been staged.
    pub rows: Vec<Row>,
    /// Checks and deliveries of new jobs, staged or not.
    pub upcoming: Upcoming,
    /// What has been staged.
    pub stage: Option<Stage>,
    /// What happens to jobs that are there, in order.
    pub steps: Vec<Step>,
    /// About how much memory it holds.
    pub bytes: usize,
    /// Held until the tree is decided, and given up last: until then its upload cannot begin to
    /// come in again.
    pub receiving: Arc<Receiving>,
}

/// Something that happens to a job that is there already.
#[derive(Debug)]
pub(crate) struct Step {
    /// The number of the record that it comes from; of the tree's begin for a growth.
    pub position: u64,
    pub id: JobId,
    pub what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// It reported a state.
    Report { change: NewChange, time: Timestamp },
    /// New branches below it.
    Growth(GrowthStep),
    /// Other options.
    Options(Option<String>),
    /// A line for its log.
    Line { time: Timestamp, text: String },
}

impl TreeFlush {
    /// The upload that it is a part of.
    pub fn commit(&self) -> &UploadId {
        &self.receiving.id
    }

    /// The new jobs whose rows have not been staged.
    pub fn created(&self) -> impl Iterator<Item = JobId> {
        self.rows.iter().filter_map(|row| match row {
            Row::Job { id, .. } => Some(*id),
            _ => None,
        })
    }
}
