//! Cancels a job with all that is open below it.

use super::{
    dispatch::{Cancelling, Dispatch},
    workers::WorkerError,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_engine::Error as EngineError;
use jobtracker_model::{CancelledTree, JobId, NewChange, State, StateSet, limits, rollup::Status};
use jobtracker_store::{CancelReason, DescendantsQuery, JobRow, Listed, PageLimit};

/// Jobs below that one request looks at.
const MOST: usize = 10_000;
/// Jobs that are cancelled at once.
const AT_ONCE: usize = 256;
/// States of jobs that are not finished.
const OPEN: [State; 4] =
    [State::WaitingToRun, State::Running, State::Warning, State::WaitingForChildrenToComplete];
/// The change by which a job ends that has no task.
const CANCELLED: &str = "cancelled-with-tree";

/// A tree that is being cancelled until this is dropped.
struct Guard<'a>(&'a Cancelling, JobId);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|roots| {
            if let Some(at) = roots.iter().position(|root| *root == self.1) {
                roots.swap_remove(at);
            }
        });
    }
}

/// What became of a job that was to be cancelled.
enum Done {
    Ended,
    Stopping,
    /// It had ended, or has only its children to wait for.
    Nothing,
}

impl Dispatch {
    /// Cancels a job and all that is open below it, or as much of it as one request does.
    pub async fn cancel_tree(&self, id: JobId, by: &str) -> Result<CancelledTree, WorkerError> {
        let Some(top) = self.store.get_job(id).await? else {
            return Err(EngineError::JobNotFound(id).into());
        };
        self.cancelling.send_modify(|roots| roots.push(top.root));
        let _guard = Guard(&self.cancelling, top.root);
        let mut cancelled = CancelledTree::default();
        self.cancel_jobs(vec![(id, top.status)], by, &mut cancelled).await?;
        let states: StateSet = OPEN.into_iter().collect();
        let (limit, mut after, mut seen) = (PageLimit::items(limits::PAGE), None, 0);
        loop {
            let query = DescendantsQuery { of: id, states, after, limit };
            let Listed { items, next } = self.store.list_descendants(query).await?;
            seen += items.len();
            let jobs = items.into_iter().map(|JobRow { id, status, .. }| (id, status)).collect();
            self.cancel_jobs(jobs, by, &mut cancelled).await?;
            cancelled.more = next.is_some() && seen >= MOST;
            after = next;
            if after.is_none() || cancelled.more {
                return Ok(cancelled);
            }
        }
    }

    async fn cancel_jobs(
        &self,
        jobs: Vec<(JobId, Status)>,
        by: &str,
        cancelled: &mut CancelledTree,
    ) -> Result<(), WorkerError> {
        let ends = jobs.into_iter().map(|(id, status)| self.cancel_job(id, status, by));
        let ends: Vec<_> = ends.collect();
        let mut done = stream::iter(ends).buffer_unordered(AT_ONCE);
        while let Some(done) = done.try_next().await? {
            match done {
                Done::Ended => cancelled.ended += 1,
                Done::Stopping => cancelled.stopping += 1,
                Done::Nothing => {}
            }
        }
        Ok(())
    }

    async fn cancel_job(&self, id: JobId, status: Status, by: &str) -> Result<Done, WorkerError> {
        if status.last.is_finished() {
            return Ok(Done::Nothing);
        }
        match self.engine.cancel_task(id, CancelReason::Cancelled, Some(by.into())).await {
            Ok(changed) => match changed.task.lease() {
                Some(lease) => {
                    self.workers.tell(&lease.worker);
                    Ok(Done::Stopping)
                }
                None => Ok(if changed.done { Done::Ended } else { Done::Nothing }),
            },
            Err(EngineError::TaskNotFound(_)) => {
                let end = NewChange {
                    by: Some(by.into()),
                    change_id: Some(CANCELLED.to_owned()),
                    ..NewChange::new(State::Faulted)
                };
                let ended = self.engine.update(id, end.reason_code("cancelled")).await?;
                Ok(if ended.applied && !ended.repeated { Done::Ended } else { Done::Nothing })
            }
            // It was deleted meanwhile.
            Err(EngineError::JobNotFound(_)) => Ok(Done::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the tree of a job is not being cancelled.
    pub(super) async fn until_not_cancelling(&self, id: JobId) {
        let mut cancelling = self.cancelling.subscribe();
        if cancelling.borrow_and_update().is_empty() {
            return;
        }
        let Ok(Some(JobRow { root, .. })) = self.store.get_job(id).await else { return };
        // An error means that the server is gone.
        let _ = cancelling.wait_for(|roots| !roots.contains(&root)).await;
    }
}
