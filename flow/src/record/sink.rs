use std::sync::Arc;

use async_trait::async_trait;
use jobtracker_client::{JobId, JobTracker, NewChange, NewJob};
use jobtracker_context::JobTrackerContext;

/// Where a recording goes. Every call may be repeated.
#[async_trait]
pub(super) trait Sink: Send + Sync {
    /// How many jobs are created by one call; what it created before it failed is not known.
    fn jobs_at_once(&self) -> usize;

    /// Ids for jobs that are to be created, if creating them has to be repeatable by their ids.
    async fn reserve(&self, count: u32) -> Result<Option<JobId>, Failure>;

    /// Creates jobs under one parent, or one root.
    async fn create(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>, Failure>;

    async fn update(&self, job: JobId, change: NewChange) -> Result<(), Failure>;

    async fn attach(&self, job: JobId, key: &str, text: String) -> Result<(), Failure>;

    /// Sends what is buffered.
    async fn flush(&self) -> jobtracker_context::Result<()>;
}

/// Why a call failed, and whether to call again.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) is_retryable: bool,
}

impl From<jobtracker_client::Error> for Failure {
    fn from(error: jobtracker_client::Error) -> Self {
        Self { is_retryable: error.is_retryable(), reason: error.to_string() }
    }
}

impl From<jobtracker_context::Error> for Failure {
    fn from(error: jobtracker_context::Error) -> Self {
        Self { is_retryable: error.is_retryable(), reason: error.to_string() }
    }
}

/// The service, call by call.
pub(super) struct Direct(pub(super) Arc<dyn JobTracker>);

#[async_trait]
impl Sink for Direct {
    fn jobs_at_once(&self) -> usize {
        1_000
    }

    async fn reserve(&self, count: u32) -> Result<Option<JobId>, Failure> {
        Ok(Some(self.0.reserve_ids(count).await?.first))
    }

    async fn create(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>, Failure> {
        if let Some(parent) = jobs.first().and_then(|job| job.parent)
            && jobs.len() > 1
        {
            let created = self.0.create_children(parent, jobs).await?;
            return Ok(created.iter().map(|created| created.id).collect());
        }
        let mut ids = Vec::new();
        for job in jobs {
            ids.push(self.0.create(job).await?.id);
        }
        Ok(ids)
    }

    async fn update(&self, job: JobId, change: NewChange) -> Result<(), Failure> {
        self.0.update(job, change).await?;
        Ok(())
    }

    async fn attach(&self, job: JobId, key: &str, text: String) -> Result<(), Failure> {
        Ok(self.0.put_attachment(job, key, text).await?)
    }

    async fn flush(&self) -> jobtracker_context::Result<()> {
        Ok(())
    }
}

/// A context, which sends it when its owner or its settings say so.
pub(super) struct Buffered(pub(super) JobTrackerContext);

#[async_trait]
impl Sink for Buffered {
    fn jobs_at_once(&self) -> usize {
        1
    }

    async fn reserve(&self, _: u32) -> Result<Option<JobId>, Failure> {
        Ok(None)
    }

    async fn create(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>, Failure> {
        let mut ids = Vec::new();
        for job in jobs {
            ids.push(self.0.create(job).await?);
        }
        Ok(ids)
    }

    async fn update(&self, job: JobId, change: NewChange) -> Result<(), Failure> {
        self.0.update(job, change).await?;
        Ok(())
    }

    /// A context has no place for attachments.
    async fn attach(&self, _: JobId, _: &str, _: String) -> Result<(), Failure> {
        Ok(())
    }

    async fn flush(&self) -> jobtracker_context::Result<()> {
        self.0.flush().await?;
        Ok(())
    }
}
