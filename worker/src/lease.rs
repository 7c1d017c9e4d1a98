use std::sync::Arc;

use jobtracker_client::{
    Created, JobId, JobTrackerClient, NewJob, Result, TaskChildren, TaskLog, TaskReport,
    TaskReportState,
};

/// The lease under which a worker runs a task: what it says of the task names it.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub client: JobTrackerClient,
    pub worker: Arc<str>,
    pub job: JobId,
    pub epoch: u32,
}

impl Lease {
    pub fn report(&self, state: TaskReportState) -> TaskReport {
        TaskReport::new(&*self.worker, self.epoch, state)
    }

    pub async fn append_log(&self, lines: Vec<String>) -> Result<()> {
        let (worker, epoch) = (self.worker.as_ref().to_owned(), self.epoch);
        let log = TaskLog { worker, epoch, lines, append_id: None };
        self.client.append_log_of_task(self.job, log).await.map(drop)
    }

    pub async fn create_children(&self, jobs: Vec<NewJob>) -> Result<Vec<Created>> {
        let (worker, epoch) = (self.worker.as_ref().to_owned(), self.epoch);
        let children = TaskChildren { worker, epoch, jobs };
        self.client.create_children_of_task(self.job, children).await
    }
}
