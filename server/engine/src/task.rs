//! Operations on the tasks of jobs.

use std::sync::Arc;

use jobtracker_model::{JobId, State, TaskReport, Timestamp};
use jobtracker_store::{Assignment, CancelReason, TaskRow};

use crate::{
    Engine, Result,
    operation::{Operation, Outcome},
};

/// A change to the task of one job.
#[derive(Debug)]
pub(crate) enum TaskChange {
    Claim(Claim),
    Report(TaskReport),
    /// Look at a lease that is due. If its worker has been heard of, it lasts until that time.
    Look {
        epoch: u32,
        until: Option<Timestamp>,
    },
    /// End a lease: its worker may not have any more.
    Lose {
        epoch: u32,
        why: String,
    },
    /// No worker has claimed it in time, or there is none that may.
    Unclaimed {
        epoch: u32,
        why: String,
    },
    Cancel {
        reason: CancelReason,
        by: Option<Box<str>>,
    },
    Pause {
        by: Option<Box<str>>,
    },
    Resume {
        by: Option<Box<str>>,
    },
    /// Keep it for one worker.
    Assign {
        epoch: u32,
        to: Assignment,
    },
}

/// A claim of a task by a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many leases of the task there were when the worker chose it.
    pub epoch: u32,
    /// The worker's id.
    pub worker: String,
    /// When the lease ends unless the worker is heard of.
    pub until: Timestamp,
}

/// The holder of a lease, which an operation names that only the holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The worker's id.
    pub worker: String,
    /// The lease.
    pub epoch: u32,
}

/// What became of a change to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChanged {
    /// Whether it changed something. A repetition does not, and neither does a change that came too
    /// late.
    pub done: bool,
    /// The task after it.
    pub task: Box<TaskRow>,
    /// The job's visible state after it.
    pub state: State,
}

impl TaskChange {
    /// About how much memory its texts take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Report(report) => report.bytes(),
            Self::Claim(claim) => claim.worker.len(),
            Self::Assign { to, .. } => to.worker.len(),
            Self::Lose { why, .. } | Self::Unclaimed { why, .. } => why.len(),
            _ => 0,
        }
    }
}

impl Engine {
    /// Claims a task for a worker, and reports its job as Running, unless it has been claimed or
    /// may not be claimed yet. Not safe to repeat: after an unknown outcome the lease ends by
    /// itself.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn claim_task(&self, id: JobId, claim: Claim) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Claim(claim)).await
    }

    /// Keeps a task that waits for one worker, which alone may claim it for a while, unless it is
    /// kept for one already. Not safe to repeat; an unknown outcome is over with its time.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn assign_task(&self, id: JobId, epoch: u32, to: Assignment) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Assign { epoch, to }).await
    }

    /// Notes what the holder of a lease reports. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, one without a task, a field past its limit; [`Error::StaleLease`]: the
    /// lease is not this one.
    ///
    /// [`Error::StaleLease`]: crate::Error::StaleLease
    pub async fn report_task(&self, id: JobId, report: TaskReport) -> Result<TaskChanged> {
        report.check()?;
        self.change_task(id, TaskChange::Report(report)).await
    }

    /// Looks at a lease that is [due](TaskRow::lease_due): it ends if its attempt has taken as long
    /// as it may, if it was to be cancelled and had its time for that, and if its worker has not
    /// been heard of; otherwise it lasts until that time. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn look_at_lease(
        &self,
        id: JobId,
        epoch: u32,
        until: Option<Timestamp>,
    ) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Look { epoch, until }).await
    }

    /// Ends a lease because its worker is lost, whether or not it is due. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn lose_lease(&self, id: JobId, epoch: u32, why: String) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Lose { epoch, why }).await
    }

    /// Fails a task that has waited for a worker as long as it may, or that fails when there is no
    /// worker. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn fail_unclaimed(&self, id: JobId, epoch: u32, why: String) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Unclaimed { epoch, why }).await
    }

    /// Cancels a task: at once if no worker has it; otherwise its worker is asked to stop, and the
    /// job ends when it has, or when its time for that is over. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn cancel_task(
        &self,
        id: JobId,
        reason: CancelReason,
        by: Option<Box<str>>,
    ) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Cancel { reason, by }).await
    }

    /// Keeps workers from claiming a task until it is resumed. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, one without a task, or one that a worker has.
    pub async fn pause_task(&self, id: JobId, by: Option<Box<str>>) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Pause { by }).await
    }

    /// Lets workers claim a task that was paused, or held from the beginning. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job, or one without a task.
    pub async fn resume_task(&self, id: JobId, by: Option<Box<str>>) -> Result<TaskChanged> {
        self.change_task(id, TaskChange::Resume { by }).await
    }

    async fn change_task(&self, id: JobId, change: TaskChange) -> Result<TaskChanged> {
        let operation = Operation::Task { id, change: Arc::new(change) };
        match self.submit(operation).await? {
            Outcome::Task(changed) => Ok(changed),
            other => unreachable!("a task cannot have this outcome: {other:?}"),
        }
    }
}
