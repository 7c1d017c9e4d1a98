use std::sync::Arc;

use async_trait::async_trait;
use jobtracker_client::{
    Created, Creations, IdBlock, JobId, JobNode, ListPage, NewJob, Page, ProblemCode, Result,
    TreeResult, UploadId, UploadOutcome, UploadSource, Uploads,
};

use crate::service::{self, Service, problem};

#[async_trait]
impl Creations for Service {
    async fn reserve_ids(&self, count: u32) -> Result<IdBlock> {
        Ok(self.reserve(count))
    }

    async fn create(&self, job: NewJob) -> Result<Created> {
        let (id, parent) = (job.id.unwrap(), job.parent);
        let said = service::said(job);
        let kept = self.kept();
        let there = &kept.jobs[&id];
        if there.said != said || there.node.parent != parent {
            return Err(problem(ProblemCode::IdConflict, false));
        }
        let JobNode { root, status, .. } = &there.node;
        Ok(Created { id, root: *root, created: false, state: status.state })
    }
}

#[async_trait]
impl Uploads for Service {
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

    async fn upload_trees(&self, id: &UploadId, _: ListPage) -> Result<Page<TreeResult>> {
        let kept = self.kept();
        let known = kept.outcomes.get(id).ok_or(problem(ProblemCode::CommitNotFound, false))?;
        let items = known.trees.values().map(|(_, tree_result)| tree_result.clone()).collect();
        Ok(Page { items, next_cursor: None })
    }
}
