use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jobtracker_client::{
    AttachmentInfo, Blocker, Change, Created, IdBlock, Job, JobId, JobNode, JobState, JobTracker,
    ListJobs, ListPage, LogAppended, LogLine, LogQuery, LogText, NewChange, NewJob, NewLogLines,
    Page, ProblemCode, Result, RootPage, RootsQuery, State, StateSet, Statistics, TreeResult,
    Updated, UploadId, UploadOutcome, UploadSource, Waited,
};

use crate::service::{Service, problem};

/// The calls that a context makes to a service; it makes no others.
#[async_trait]
impl JobTracker for Service {
    async fn reserve_ids(&self, count: u32) -> Result<IdBlock> {
        Ok(self.reserve(count))
    }
    async fn path(&self, id: JobId) -> Result<Vec<JobNode>> {
        // Other tasks that want it come meanwhile.
        tokio::task::yield_now().await;
        let path = self.path_of(id);
        if let Some((_, gate)) = self.slow_path.as_ref().filter(|(slow, _)| *slow == id) {
            gate.acquire().await.unwrap().forget();
        }
        path
    }
    async fn upload(&self, id: &UploadId, source: Arc<dyn UploadSource>) -> Result<UploadOutcome> {
        self.take(id, source).await
    }
    async fn upload_outcome(&self, id: &UploadId) -> Result<Option<UploadOutcome>> {
        let known = self.kept().outcomes.get(id).map(|known| known.all.clone());
        Ok(known.filter(|_| !self.is_mute))
    }
    async fn create(&self, job: NewJob) -> Result<Created> {
        let (id, parent) = (job.id.unwrap(), job.parent);
        let said = job.into_parts().unwrap();
        let kept = self.kept();
        let there = &kept.jobs[&id];
        if there.said != said || there.node.parent != parent {
            return Err(problem(ProblemCode::IdConflict, false));
        }
        let JobNode { root, status, .. } = &there.node;
        Ok(Created { id, root: *root, created: false, state: status.state })
    }

    async fn upload_trees(&self, id: &UploadId, _: ListPage) -> Result<Page<TreeResult>> {
        let kept = self.kept();
        let known = kept.outcomes.get(id).ok_or(problem(ProblemCode::CommitNotFound, false))?;
        let items = known.trees.values().map(|(_, tree_result)| tree_result.clone()).collect();
        Ok(Page { items, next_cursor: None })
    }
    async fn create_children(&self, _: JobId, _: Vec<NewJob>) -> Result<Vec<Created>> {
        unimplemented!()
    }
    async fn load(&self, _: JobId) -> Result<Job> {
        unimplemented!()
    }
    async fn state(&self, _: JobId) -> Result<State> {
        unimplemented!()
    }
    async fn states(&self, _: Vec<JobId>) -> Result<Vec<JobState>> {
        unimplemented!()
    }
    async fn update(&self, _: JobId, _: NewChange) -> Result<Updated> {
        unimplemented!()
    }
    async fn update_options(&self, _: JobId, _: Option<String>) -> Result<Job> {
        unimplemented!()
    }
    async fn statistics(&self, _: JobId) -> Result<Statistics> {
        unimplemented!()
    }
    async fn wait(&self, _: JobId, _: StateSet, _: Duration) -> Result<Waited> {
        unimplemented!()
    }
    async fn changes(&self, _: JobId, _: ListPage) -> Result<Page<Change>> {
        unimplemented!()
    }
    async fn children(&self, _: JobId, _: ListJobs) -> Result<Page<Job>> {
        unimplemented!()
    }
    async fn descendants(&self, _: JobId, _: ListJobs) -> Result<Page<Job>> {
        unimplemented!()
    }
    async fn ancestors(&self, _: JobId) -> Result<Vec<Job>> {
        unimplemented!()
    }
    async fn blockers(&self, _: JobId, _: ListPage) -> Result<Page<Blocker>> {
        unimplemented!()
    }
    async fn roots(&self, _: RootsQuery) -> Result<RootPage> {
        unimplemented!()
    }
    async fn append_log(&self, _: JobId, _: NewLogLines) -> Result<LogAppended> {
        unimplemented!()
    }
    async fn log(&self, _: JobId, _: LogQuery) -> Result<Page<LogLine>> {
        unimplemented!()
    }
    async fn log_text(&self, _: JobId, _: LogQuery) -> Result<LogText> {
        unimplemented!()
    }
    async fn attachments(&self, _: JobId) -> Result<Vec<AttachmentInfo>> {
        unimplemented!()
    }
    async fn attachment(&self, _: JobId, _: &str) -> Result<String> {
        unimplemented!()
    }
    async fn put_attachment(&self, _: JobId, _: &str, _: String) -> Result<()> {
        unimplemented!()
    }
    async fn delete_attachment(&self, _: JobId, _: &str) -> Result<()> {
        unimplemented!()
    }
}
