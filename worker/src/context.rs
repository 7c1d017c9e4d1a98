use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use jobtracker_client::{
    ClaimedTask, Created, FollowedRun, JobId, NewJob, Payload, Shard, Timestamp,
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Failure, lease::Lease, log};

/// What a handler is given: the task, and what it can say while it runs it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TaskContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lease: Lease,
    task: ClaimedTask,
    cancelled: CancellationToken,
    progress: Arc<AtomicU8>,
    left: Mutex<Left>,
    lines: mpsc::Sender<String>,
}

/// What an attempt leaves for the next one, or the next run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    pub data: Option<Payload>,
    pub next_at: Option<Timestamp>,
}

impl TaskContext {
    pub(crate) fn new(
        lease: Lease,
        task: ClaimedTask,
        (cancelled, progress): (CancellationToken, Arc<AtomicU8>),
        lines: mpsc::Sender<String>,
    ) -> Self {
        let left = Mutex::default();
        Self(Arc::new(Inner { lease, task, cancelled, progress, left, lines }))
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.0.task.job
    }

    /// The handler's name, by which the task asked for it.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.0.task.handler
    }

    /// A number that grows with each lease of the task. What the handler writes elsewhere can be
    /// fenced with it: a system that knows a larger number refuses a smaller one.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.0.task.epoch
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.task.attempt
    }

    /// Which part of a divided work it is.
    #[must_use]
    pub fn shard(&self) -> Option<Shard> {
        self.0.task.shard
    }

    /// When the time of the attempt is over, by the service's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.task.deadline
    }

    /// The parameters. Without any, they are read as `null`.
    ///
    /// # Errors
    /// [`Failure::Rejected`]: they are not what the handler takes.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let json = self.0.task.params.as_ref().map_or("null", Payload::as_str);
        let rejected = |error| Failure::Rejected(format!("the parameters cannot be read: {error}"));
        serde_json::from_str(json).map_err(rejected)
    }

    /// What an earlier attempt or run left; `None` if that is nothing.
    ///
    /// # Errors
    /// [`Failure::Failed`]: it has another form.
    pub fn data<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let json = self.0.task.data.as_ref();
        Ok(json.map(|json| serde_json::from_str(json.as_str())).transpose()?)
    }

    /// The run of another schedule that the run of this task follows, as it has ended.
    #[must_use]
    pub fn followed(&self) -> Option<&FollowedRun> {
        self.0.task.after.as_ref()
    }

    /// The result of the run that this one follows, of a run with shards the list of theirs; `None`
    /// if it follows none, or that one has left nothing that could be handed on.
    ///
    /// # Errors
    /// [`Failure::Rejected`]: it is not what the handler takes.
    pub fn followed_result<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let json = self.followed().and_then(|followed| followed.result.as_ref());
        let read = json.map(|json| serde_json::from_str(json.as_str())).transpose();
        let rejected = |error| Failure::Rejected(format!("the result cannot be read: {error}"));
        read.map_err(rejected)
    }

    /// Leaves something for the next attempt, or the next run: JSON of up to 16 KiB. It goes out
    /// with the report of the attempt, whatever that says.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn set_data(&self, data: &impl Serialize) -> Result<(), Failure> {
        self.0.left.lock().data = Some(Payload::of(data)?);
        Ok(())
    }

    /// Says when the task of a schedule wants to run again: that time takes the place of the next
    /// planned one. It goes out with the report of the attempt.
    pub fn set_next_at(&self, time: Timestamp) {
        self.0.left.lock().next_at = Some(time);
    }

    /// Says how far it is, in percent; it never goes back. The service hears of it with the next
    /// sign of life.
    pub fn progress(&self, percent: u8) {
        self.0.progress.fetch_max(percent.min(100), Ordering::Relaxed);
    }

    /// Appends to the job's log: each line of the text is a line there. Lines are sent in batches,
    /// and all of them before the attempt is reported as ended. Waits while 500 lines wait to be
    /// sent.
    pub async fn log(&self, text: impl AsRef<str>) {
        for line in log::lines(text.as_ref()) {
            // The log ends with the attempt.
            let _ = self.0.lines.send(line).await;
        }
    }

    /// Creates a child of the job, which may have a task of its own.
    ///
    /// # Errors
    /// As [`spawn_children`](Self::spawn_children).
    pub async fn spawn_child(&self, job: NewJob) -> jobtracker_client::Result<JobId> {
        let created = self.spawn_children(vec![job]).await?;
        Ok(created.first().expect("the service answers with an item for each job").id)
    }

    /// Creates children of the job, up to 10,000 at once, which may have tasks of their own.
    ///
    /// # Errors
    /// `stale_lease` if the task is not on lease any more; otherwise as for any children.
    pub async fn spawn_children(
        &self,
        jobs: Vec<NewJob>,
    ) -> jobtracker_client::Result<Vec<Created>> {
        self.0.lease.create_children(jobs).await
    }

    /// Whether the handler is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    /// Ends when the handler is to stop: the task was cancelled, its time is over, its lease is
    /// lost, or the worker stops.
    pub async fn cancelled(&self) {
        self.0.cancelled.cancelled().await;
    }

    /// The same as a token, for what takes one.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.0.cancelled.clone()
    }

    pub(crate) fn left(&self) -> Left {
        self.0.left.lock().clone()
    }
}
