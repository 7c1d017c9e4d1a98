use std::time::Duration;

use async_trait::async_trait;
use jobtracker_model::{
    Created, IdBlock, Job, JobId, JobState, NewChange, NewJob, State, StateSet, Statistics,
    Updated, Waited, limits,
};
use tokio::time::{Instant, sleep};

use crate::Result;

/// The longest time that one request waits.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(limits::WAIT_MS);
/// A service that is about to stop may answer a wait too soon; this keeps the loop from spinning.
const AFTER_EARLY_ANSWER: Duration = Duration::from_millis(250);

/// Ids, and jobs one by one: the part of a [`JobTracker`](crate::JobTracker) that makes something
/// new.
#[async_trait]
pub trait Creations: Send + Sync {
    /// Reserves ids that no other caller will get, for jobs that are named before they are created.
    ///
    /// `count` is from 1 to 1,000,000. Reserved is durable; a repeated request leaves a gap,
    /// which does no harm. [`create`](Self::create) reserves by itself.
    async fn reserve_ids(&self, count: u32) -> Result<IdBlock>;

    /// Creates a job: a root, or a child of `job.parent`.
    ///
    /// A job without an id gets one from a block that the client has reserved, so a creation is
    /// one request and, within this call, safe to repeat. With an id of the caller's the whole
    /// call is: the same job again answers `created: false`. That answer also comes when this
    /// call's own first try had created the job and its reply was lost.
    ///
    /// # Errors
    /// `id_conflict` if the id is taken by another definition or parent, `parent_not_found`,
    /// `parent_is_self`, `too_deep` below depth 64, `invalid_field`;
    /// [`Error::NoIds`](crate::Error::NoIds) if no id could be had.
    async fn create(&self, job: NewJob) -> Result<Created>;
}

/// Jobs by their ids: what a service that reports its work needs of a
/// [`JobTracker`](crate::JobTracker), and all that most substitutes have to have.
#[async_trait]
pub trait Jobs: Creations {
    /// Creates up to 10,000 children of one parent, all or none, and answers in their order.
    ///
    /// As with [`create`](Creations::create), jobs without ids get some, and the call is safe to
    /// repeat if all had ids. Each job's `parent` may be left out.
    ///
    /// # Errors
    /// Those of [`create`](Creations::create), and `duplicate_id`. Nothing was created then.
    async fn create_children(&self, parent: JobId, jobs: Vec<NewJob>) -> Result<Vec<Created>>;

    /// A job as it is now.
    ///
    /// # Errors
    /// `job_not_found`; see [`get`](Self::get) for a job that may not be there.
    async fn load(&self, id: JobId) -> Result<Job>;

    /// A job as it is now, if it is there.
    async fn get(&self, id: JobId) -> Result<Option<Job>> {
        match self.load(id).await {
            Err(error) if error.is_not_found() => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// The visible state of a job.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn state(&self, id: JobId) -> Result<State>;

    /// The visible states of 1 to 1,000 jobs, in the order of the ids. A job that is not there is
    /// WaitingForActivation.
    async fn states(&self, ids: Vec<JobId>) -> Result<Vec<JobState>>;

    /// Reports a state of a job.
    ///
    /// A message or a reason code that is too long is [shortened](NewChange::shortened): its
    /// beginning and its end are kept. A change without a change id gets one, so that it is applied
    /// once however often this call has to send it; with one of the caller's the whole call is safe
    /// to repeat. `repeated` says that it had been applied before, perhaps by this call's own first
    /// try. A finished job answers `applied: false` and stays as it is, unless the service is set
    /// up otherwise.
    ///
    /// A change may say what the job has to be ([`NewChange::expect_changes`],
    /// [`NewChange::expect_last`]). A report that a call has given up may be on its way still; with
    /// an expectation it changes nothing if it arrives after something else.
    ///
    /// # Errors
    /// `job_not_found`, `state_not_allowed` for WaitingForActivation, `unexpected_state` with
    /// [what stands](crate::Error::stands), `repeat_conflict` if the change id was used for
    /// another change, `too_many_changes`, `invalid_field`.
    async fn update(&self, id: JobId, change: NewChange) -> Result<Updated>;

    /// Replaces the options of a job, up to 64 KiB, or takes them away. Of two callers at once
    /// the last to arrive wins; safe to repeat otherwise.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`.
    async fn update_options(&self, id: JobId, options: Option<String>) -> Result<Job>;

    /// When the work in the tree below a job began and ended, and its numbers.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn statistics(&self, id: JobId) -> Result<Statistics>;

    /// Waits until the visible state of a job is one of `states`, or `timeout` has passed.
    ///
    /// An empty set means finished. At most 60 seconds, in whole milliseconds; more is taken as
    /// that. The service answers as soon as it happens; nothing is polled.
    ///
    /// # Errors
    /// `job_not_found`. Time running out is not an error: `reached` is false then.
    async fn wait(&self, id: JobId, states: StateSet, timeout: Duration) -> Result<Waited>;

    /// Waits until a job is finished, or `timeout` of any length has passed, by as many
    /// [`wait`](Self::wait)s as it takes.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait); the first one ends it.
    async fn wait_finished(&self, id: JobId, timeout: Duration) -> Result<Waited> {
        let begin = Instant::now();
        loop {
            let asked = timeout.saturating_sub(begin.elapsed()).min(LONGEST_WAIT);
            let sent = Instant::now();
            let waited = self.wait(id, StateSet::FINISHED, asked).await?;
            let left = timeout.saturating_sub(begin.elapsed());
            if waited.reached || left.is_zero() {
                return Ok(waited);
            }
            if sent.elapsed() < asked {
                sleep(AFTER_EARLY_ANSWER.min(left)).await;
            }
        }
    }
}
