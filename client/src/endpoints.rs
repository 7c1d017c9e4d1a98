use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jobtracker_model::{
    AttachmentInfo, Attachments, Blocker, Change, Created, CreatedChildren, IdBlock, Job, JobId,
    JobNode, JobPath, JobState, JobStates, LogAppended, LogLine, NewChange, NewChildren, NewJob,
    NewLogLines, NewOptions, Page, ProblemCode, RootPage, State, StateQuery, StateSet, Statistics,
    Updated, Waited,
    upload::{TreeResult, UploadId, UploadOutcome},
};
use reqwest::header::HeaderName;

use crate::{
    Error, JobTracker, JobTrackerClient, ListJobs, ListPage, LogQuery, LogText, Result, RootsQuery,
    UploadSource, call::Call, ids, wait,
};

const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// The table of the API: one request per method.
#[async_trait]
impl JobTracker for JobTrackerClient {
    async fn reserve_ids(&self, count: u32) -> Result<IdBlock> {
        ids::reserve(&self.http, count, self.http.deadline()).await
    }

    async fn create(&self, mut job: NewJob) -> Result<Created> {
        let deadline = self.http.deadline();
        self.ids.fill(std::slice::from_mut(&mut job), deadline).await?;
        self.http.json(Call::post("api/v1/jobs", &job)?.by(deadline)).await
    }

    async fn create_children(&self, parent: JobId, mut jobs: Vec<NewJob>) -> Result<Vec<Created>> {
        let deadline = self.http.deadline();
        self.ids.fill(&mut jobs, deadline).await?;
        let call = Call::post(job(parent, "children"), &NewChildren { jobs })?;
        let created: CreatedChildren = self.http.json(call.compressible().by(deadline)).await?;
        Ok(created.items)
    }

    async fn load(&self, id: JobId) -> Result<Job> {
        self.http.json(Call::get(format!("api/v1/jobs/{id}"))).await
    }

    async fn state(&self, id: JobId) -> Result<State> {
        let state: JobState = self.http.json(Call::get(job(id, "state"))).await?;
        Ok(state.state)
    }

    async fn states(&self, ids: Vec<JobId>) -> Result<Vec<JobState>> {
        let call = Call::post("api/v1/jobs/states", &StateQuery { ids })?;
        let states: JobStates = self.http.json(call).await?;
        Ok(states.items)
    }

    async fn update(&self, id: JobId, change: NewChange) -> Result<Updated> {
        let mut change = change.shortened();
        change.change_id.get_or_insert_with(repeat_id);
        self.http.json(Call::post(job(id, "changes"), &change)?).await
    }

    async fn update_options(&self, id: JobId, options: Option<String>) -> Result<Job> {
        self.http.json(Call::put(job(id, "options"), &NewOptions { options })?).await
    }

    async fn statistics(&self, id: JobId) -> Result<Statistics> {
        self.http.json(Call::get(job(id, "statistics"))).await
    }

    async fn wait(&self, id: JobId, states: StateSet, timeout: Duration) -> Result<Waited> {
        let call = Call::get(job(id, "wait")).states(states).wait(timeout.min(wait::LONGEST));
        self.http.json(call).await
    }

    async fn changes(&self, id: JobId, page: ListPage) -> Result<Page<Change>> {
        self.http.json(Call::get(job(id, "changes")).page(page)).await
    }

    async fn children(&self, id: JobId, list: ListJobs) -> Result<Page<Job>> {
        self.http.json(Call::get(job(id, "children")).jobs(list)).await
    }

    async fn descendants(&self, id: JobId, list: ListJobs) -> Result<Page<Job>> {
        self.http.json(Call::get(job(id, "descendants")).jobs(list)).await
    }

    async fn ancestors(&self, id: JobId) -> Result<Vec<Job>> {
        let page: Page<Job> = self.http.json(Call::get(job(id, "ancestors"))).await?;
        Ok(page.items)
    }

    async fn path(&self, id: JobId) -> Result<Vec<JobNode>> {
        let path: JobPath = self.http.json(Call::get(job(id, "path"))).await?;
        Ok(path.items)
    }

    async fn blockers(&self, id: JobId, page: ListPage) -> Result<Page<Blocker>> {
        self.http.json(Call::get(job(id, "blockers")).page(page)).await
    }

    async fn roots(&self, query: RootsQuery) -> Result<RootPage> {
        self.http.json(Call::get("api/v1/roots").roots(query)?).await
    }

    async fn append_log(&self, id: JobId, mut lines: NewLogLines) -> Result<LogAppended> {
        lines.append_id.get_or_insert_with(repeat_id);
        self.http.json(Call::post(job(id, "log"), &lines)?.compressible()).await
    }

    async fn log(&self, id: JobId, query: LogQuery) -> Result<Page<LogLine>> {
        self.http.json(Call::get(job(id, "log")).log(query)).await
    }

    async fn log_text(&self, id: JobId, query: LogQuery) -> Result<LogText> {
        let call = Call::get(job(id, "log")).log(query).query("format", Some("text"));
        let reply = self.http.send(call).await?;
        let next_cursor = reply.header(&NEXT_CURSOR).map(str::to_owned);
        Ok(LogText { text: reply.plain()?, next_cursor })
    }

    async fn attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        let attachments: Attachments = self.http.json(Call::get(job(id, "attachments"))).await?;
        Ok(attachments.items)
    }

    async fn attachment(&self, id: JobId, key: &str) -> Result<String> {
        let call = Call::get(job(id, "attachments")).key(key)?;
        self.http.send(call).await?.plain()
    }

    async fn put_attachment(&self, id: JobId, key: &str, text: String) -> Result<()> {
        let call = Call::put_text(job(id, "attachments"), text).key(key)?;
        self.http.send(call).await?;
        Ok(())
    }

    async fn delete_attachment(&self, id: JobId, key: &str) -> Result<()> {
        let call = Call::delete(job(id, "attachments")).key(key)?;
        match self.http.send(call).await {
            // An earlier try may have deleted it, and now it is gone, as the caller wanted.
            Err(Error::Problem {
                code: Some(ProblemCode::AttachmentNotFound),
                outcome_unknown: true,
                ..
            }) => Ok(()),
            sent => sent.map(drop),
        }
    }

    async fn upload(&self, id: &UploadId, source: Arc<dyn UploadSource>) -> Result<UploadOutcome> {
        self.http.upload(id, &*source).await
    }

    async fn upload_outcome(&self, id: &UploadId) -> Result<Option<UploadOutcome>> {
        self.http.upload_outcome(id, self.http.deadline()).await
    }

    async fn upload_trees(&self, id: &UploadId, page: ListPage) -> Result<Page<TreeResult>> {
        self.http.upload_trees(id, page, self.http.deadline()).await
    }
}

/// The service's own state. Only the metrics need the token.
impl JobTrackerClient {
    /// Asks whether the service runs at all. One try.
    ///
    /// # Errors
    /// It does not answer, or not with success.
    pub async fn health(&self) -> Result<()> {
        self.http.send(Call::get("healthz").once()).await.map(drop)
    }

    /// Asks whether the service takes requests, its store included. One try, so that the
    /// caller chooses the pace.
    ///
    /// # Errors
    /// It does not answer, or not with success.
    pub async fn ready(&self) -> Result<()> {
        self.http.send(Call::get("readyz").once()).await.map(drop)
    }

    /// The service's metrics as Prometheus reads them.
    ///
    /// # Errors
    /// `unauthorized` without the right token.
    pub async fn metrics(&self) -> Result<String> {
        self.http.send(Call::get("metrics")).await?.text()
    }

    /// The OpenAPI document of the service as JSON text.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn openapi(&self) -> Result<String> {
        self.http.send(Call::get("openapi.json")).await?.text()
    }
}

/// The address of something that belongs to a job.
fn job(id: JobId, what: &str) -> String {
    format!("api/v1/jobs/{id}/{what}")
}

/// A new id for a change or an append. 128 random bits do not meet twice.
fn repeat_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
