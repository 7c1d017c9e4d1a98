use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use inherent::inherent;
use jobtracker_model::{
    Action, Added, AttachmentInfo, Blocker, Change, Created, CreatedChildren, Delivery, IdBlock,
    Job, JobAction, JobCheck, JobId, JobNode, JobPath, JobState, JobStates, LogAppended, LogLine,
    NewChange, NewCheck, NewChildren, NewJob, NewLogLines, NewOptions, Page, ProblemCode,
    ReplayFailed, Replayed, RootPage, State, StateQuery, StateSet, Statistics, Target, Tested,
    Timestamp, Updated, Waited,
    upload::{TreeResult, UploadId, UploadOutcome},
};
use reqwest::header::HeaderName;

use crate::{
    Attachments, Creations, Deliveries, Error, FollowUps, ItemStream, JobTrackerClient, Jobs,
    ListJobs, ListPage, Lists, LogQuery, LogText, Logs, Result, RootsQuery, UploadSource, Uploads,
    call::Call, ids, tracker::LONGEST_WAIT,
};

const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// How long a receiver may take to answer a test, in the service's longest setting.
const TEST_TAKES: Duration = Duration::from_secs(120);

#[inherent]
#[async_trait]
impl Creations for JobTrackerClient {
    pub async fn reserve_ids(&self, count: u32) -> Result<IdBlock> {
        ids::reserve(&self.http, count).await
    }

    pub async fn create(&self, mut job: NewJob) -> Result<Created> {
        let deadline = self.http.deadline();
        self.ids.fill(std::slice::from_mut(&mut job), deadline).await?;
        self.http.json(Call::post("api/v1/jobs", &job)?.by(deadline)).await
    }
}

#[inherent]
#[async_trait]
impl Jobs for JobTrackerClient {
    pub async fn create_children(
        &self,
        parent: JobId,
        mut jobs: Vec<NewJob>,
    ) -> Result<Vec<Created>> {
        let deadline = self.http.deadline();
        self.ids.fill(&mut jobs, deadline).await?;
        let call = Call::post(job(parent, "children"), &NewChildren { jobs })?;
        let created: CreatedChildren = self.http.json(call.compressible().by(deadline)).await?;
        Ok(created.items)
    }

    pub async fn load(&self, id: JobId) -> Result<Job> {
        self.http.json(Call::get(format!("api/v1/jobs/{id}"))).await
    }

    pub async fn get(&self, id: JobId) -> Result<Option<Job>>;

    pub async fn state(&self, id: JobId) -> Result<State> {
        let state: JobState = self.http.json(Call::get(job(id, "state"))).await?;
        Ok(state.state)
    }

    pub async fn states(&self, ids: Vec<JobId>) -> Result<Vec<JobState>> {
        let call = Call::post("api/v1/jobs/states", &StateQuery { ids })?;
        let states: JobStates = self.http.json(call).await?;
        Ok(states.items)
    }

    pub async fn update(&self, id: JobId, change: NewChange) -> Result<Updated> {
        let mut change = change.shortened();
        change.change_id.get_or_insert_with(repeat_id);
        self.http.json(Call::post(job(id, "changes"), &change)?).await
    }

    pub async fn update_options(&self, id: JobId, options: Option<String>) -> Result<Job> {
        self.http.json(Call::put(job(id, "options"), &NewOptions { options })?).await
    }

    pub async fn statistics(&self, id: JobId) -> Result<Statistics> {
        self.http.json(Call::get(job(id, "statistics"))).await
    }

    pub async fn wait(&self, id: JobId, states: StateSet, timeout: Duration) -> Result<Waited> {
        let call = Call::get(job(id, "wait")).states(states).wait(timeout.min(LONGEST_WAIT));
        self.http.json(call).await
    }

    pub async fn wait_finished(&self, id: JobId, timeout: Duration) -> Result<Waited>;
}

#[inherent]
#[async_trait]
impl Lists for JobTrackerClient {
    pub async fn changes(&self, id: JobId, page: ListPage) -> Result<Page<Change>> {
        self.http.json(Call::get(job(id, "changes")).page(page)).await
    }

    pub fn changes_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Change>;

    pub async fn children(&self, id: JobId, list: ListJobs) -> Result<Page<Job>> {
        self.http.json(Call::get(job(id, "children")).jobs(list)).await
    }

    pub fn children_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job>;

    pub async fn descendants(&self, id: JobId, list: ListJobs) -> Result<Page<Job>> {
        self.http.json(Call::get(job(id, "descendants")).jobs(list)).await
    }

    pub fn descendants_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job>;

    pub async fn ancestors(&self, id: JobId) -> Result<Vec<Job>> {
        let page: Page<Job> = self.http.json(Call::get(job(id, "ancestors"))).await?;
        Ok(page.items)
    }

    pub async fn blockers(&self, id: JobId, page: ListPage) -> Result<Page<Blocker>> {
        self.http.json(Call::get(job(id, "blockers")).page(page)).await
    }

    pub fn blockers_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Blocker>;

    pub async fn roots(&self, query: RootsQuery) -> Result<RootPage> {
        self.http.json(Call::get("api/v1/roots").roots(query)?).await
    }

    pub fn roots_stream(&self, query: RootsQuery) -> ItemStream<'_, Job>;
}

#[inherent]
#[async_trait]
impl Logs for JobTrackerClient {
    pub async fn append_log(&self, id: JobId, mut lines: NewLogLines) -> Result<LogAppended> {
        lines.append_id.get_or_insert_with(repeat_id);
        self.http.json(Call::post(job(id, "log"), &lines)?.compressible()).await
    }

    pub async fn log(&self, id: JobId, query: LogQuery) -> Result<Page<LogLine>> {
        self.http.json(Call::get(job(id, "log")).log(query)).await
    }

    pub fn log_stream(&self, id: JobId, query: LogQuery) -> ItemStream<'_, LogLine>;

    pub async fn log_text(&self, id: JobId, query: LogQuery) -> Result<LogText> {
        let call = Call::get(job(id, "log")).log(query).query("format", Some("text"));
        let reply = self.http.send(call).await?;
        let next_cursor = reply.header(&NEXT_CURSOR).map(str::to_owned);
        Ok(LogText { text: reply.plain()?, next_cursor })
    }
}

#[inherent]
#[async_trait]
impl Attachments for JobTrackerClient {
    pub async fn attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        let attachments: jobtracker_model::Attachments =
            self.http.json(Call::get(job(id, "attachments"))).await?;
        Ok(attachments.items)
    }

    pub async fn attachment(&self, id: JobId, key: &str) -> Result<String> {
        let call = Call::get(job(id, "attachments")).key(key)?;
        self.http.send(call).await?.plain()
    }

    pub async fn put_attachment(&self, id: JobId, key: &str, text: String) -> Result<()> {
        let call = Call::put_text(job(id, "attachments"), text).key(key)?;
        self.http.send(call).await?;
        Ok(())
    }

    pub async fn delete_attachment(&self, id: JobId, key: &str) -> Result<()> {
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
}

#[inherent]
#[async_trait]
impl FollowUps for JobTrackerClient {
    pub async fn add_action(&self, id: JobId, action: &Action) -> Result<Added> {
        self.http.json(Call::post(format!("api/v1/jobs/{id}/actions"), action)?).await
    }

    pub async fn actions(&self, id: JobId) -> Result<Vec<JobAction>> {
        let call = Call::get(format!("api/v1/jobs/{id}/actions"));
        let page: Page<JobAction> = self.http.json(call).await?;
        Ok(page.items)
    }

    pub async fn add_check(&self, id: JobId, check: &NewCheck) -> Result<Added> {
        self.http.json(Call::post(format!("api/v1/jobs/{id}/checks"), check)?).await
    }

    pub async fn checks(&self, id: JobId) -> Result<Vec<JobCheck>> {
        let call = Call::get(format!("api/v1/jobs/{id}/checks"));
        let page: Page<JobCheck> = self.http.json(call).await?;
        Ok(page.items)
    }

    pub async fn cancel_check(&self, id: JobId, number: u32) -> Result<()> {
        let call = Call::delete(format!("api/v1/jobs/{id}/checks/{number}"));
        self.http.send(call).await.map(drop)
    }

    pub async fn test_target(&self, target: &Target) -> Result<Tested> {
        let call = Call::post("api/v1/actions/test", target)?;
        self.http.json(call.once().slow(TEST_TAKES)).await
    }

    pub async fn test_action(&self, id: JobId, number: u32) -> Result<Tested> {
        let call = Call::post(format!("api/v1/jobs/{id}/actions/{number}/test"), &())?;
        self.http.json(call.once().slow(TEST_TAKES)).await
    }
}

#[inherent]
#[async_trait]
impl Deliveries for JobTrackerClient {
    pub async fn deliveries(&self, id: JobId, page: ListPage) -> Result<Page<Delivery>> {
        self.http.json(Call::get(format!("api/v1/jobs/{id}/deliveries")).page(page)).await
    }

    pub fn deliveries_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Delivery>;

    pub async fn failed_deliveries(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: ListPage,
    ) -> Result<Page<Delivery>> {
        let call = Call::get("api/v1/deliveries/failed").page(page);
        self.http.json(call.query("from", Some(from)).query("to", Some(to))).await
    }

    pub fn failed_deliveries_stream(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: ListPage,
    ) -> ItemStream<'_, Delivery>;

    pub async fn replay_delivery(&self, delivery: &str) -> Result<()> {
        let call = Call::post("api/v1/deliveries", &())?.key(delivery)?.key("replay")?;
        self.http.send(call).await.map(drop)
    }

    pub async fn cancel_delivery(&self, delivery: &str) -> Result<()> {
        let call = Call::post("api/v1/deliveries", &())?.key(delivery)?.key("cancel")?;
        self.http.send(call).await.map(drop)
    }

    pub async fn replay_failed(&self, from: Timestamp, to: Timestamp) -> Result<Replayed> {
        let range = ReplayFailed { from, to };
        self.http.json(Call::post("api/v1/deliveries/replay", &range)?).await
    }
}

#[inherent]
#[async_trait]
impl Uploads for JobTrackerClient {
    pub async fn path(&self, id: JobId) -> Result<Vec<JobNode>> {
        let path: JobPath = self.http.json(Call::get(job(id, "path"))).await?;
        Ok(path.items)
    }

    pub async fn upload(
        &self,
        id: &UploadId,
        source: Arc<dyn UploadSource>,
    ) -> Result<UploadOutcome> {
        self.http.upload(id, &*source).await
    }

    pub async fn upload_outcome(&self, id: &UploadId) -> Result<Option<UploadOutcome>> {
        self.http.upload_outcome(id, self.http.deadline()).await
    }

    pub async fn upload_trees(&self, id: &UploadId, page: ListPage) -> Result<Page<TreeResult>> {
        self.http.upload_trees(id, page, self.http.deadline()).await
    }

    pub fn upload_trees_stream(&self, id: &UploadId, page: ListPage) -> ItemStream<'_, TreeResult>;
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
pub(crate) fn repeat_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
