//! Operations on the tasks of jobs.

use std::sync::Arc;

use jobtracker_model::{JobId, TaskReport, Timestamp};
use jobtracker_store::{Assignment, CancelReason};

use crate::{
    Engine, Result,
    operation::{Claim, Operation, Outcome, TaskChange, TaskChanged},
};

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

    /// Looks at a lease that is [due](jobtracker_store::TaskRow::lease_due): it ends if its attempt
    /// has taken as long as it may, if it was to be cancelled and had its time for that, and if its
    /// worker has not been heard of; otherwise it lasts until that time. Safe to repeat.
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
