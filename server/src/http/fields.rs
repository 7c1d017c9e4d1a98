use jobtracker_model::{Job, live::JobSummary};
use jobtracker_store::JobRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{ApiError, Result};

/// What a list says of each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    All,
    Row,
}

/// A job in a list: the whole, or with `fields=row` without options and source link.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum JobItem {
    Job(Box<Job>),
    Row(Box<JobSummary>),
}

impl Fields {
    pub fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None | Some("all") => Ok(Self::All),
            Some("row") => Ok(Self::Row),
            Some(_) => Err(ApiError::query("fields", "must be all or row")),
        }
    }

    pub fn items(self, jobs: Vec<JobRow>) -> Vec<JobItem> {
        let item = |job: JobRow| match self {
            Self::All => JobItem::Job(Box::new(job.into())),
            Self::Row => JobItem::Row(Box::new(job.into())),
        };
        jobs.into_iter().map(item).collect()
    }
}
