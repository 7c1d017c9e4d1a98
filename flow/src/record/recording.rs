use jobtracker_client::JobId;
use tokio::sync::SetOnce;

use crate::{RunInfo, StepMeta};

use super::outbox::Outbox;

/// A run that is recorded.
pub(super) struct Recording {
    pub(super) info: RunInfo,
    pub(super) steps: Vec<StepMeta>,
    pub(super) outbox: Outbox,
    jobs: SetOnce<Option<Jobs>>,
}

/// The jobs of a run.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) run: JobId,
    pub(super) steps: Vec<JobId>,
}

impl Recording {
    pub(super) fn new(info: RunInfo, steps: &[StepMeta]) -> Self {
        let outbox = Outbox::new(steps.len());
        Self { info, steps: steps.to_vec(), outbox, jobs: SetOnce::new() }
    }

    /// The jobs, if they are there already.
    pub(super) fn jobs(&self) -> Option<&Jobs> {
        self.jobs.get()?.as_ref()
    }

    /// The jobs, when they are there. Nothing if they will never be.
    pub(super) async fn jobs_to_come(&self) -> Option<&Jobs> {
        self.jobs.wait().await.as_ref()
    }

    /// Says which jobs they are, or that there will be none. Only the first time counts.
    pub(super) fn settle(&self, jobs: Option<Jobs>) {
        let _ = self.jobs.set(jobs);
    }
}
