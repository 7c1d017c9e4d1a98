//! How far a task is: what its worker reports, and what the service shows.

use serde::{Deserialize, Serialize};

use crate::{FieldError, JobId, NewTask, Payload, State, Timestamp, text::mended_option};

/// What a worker reports of a task that it has claimed.
///
/// Safe to repeat: the same state under the same lease is applied once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskReport {
    /// The worker's id.
    pub worker: String,
    /// The lease, as it was given with the task.
    pub epoch: u32,
    /// What has become of the attempt.
    pub state: TaskReportState,
    /// A message about it. Of a message longer than 4096 bytes, the beginning and the end are kept.
    #[serde(default, deserialize_with = "mended_option", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How far it is, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// Any JSON that the handler answers; up to 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Any JSON for the next attempt, or the next run; up to 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
    /// When the handler wants to run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// What has become of an attempt. Stores keep it: the order never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TaskReportState {
    /// It goes on; `progress` says how far it is.
    Progress,
    /// It has succeeded.
    Succeeded,
    /// It has failed. The policy for further attempts decides whether another follows.
    Failed,
    /// It has taken longer than it may; likewise.
    Timeout,
    /// The handler does not take these parameters. No attempt follows.
    Rejected,
    /// It waits until it is resumed.
    Paused,
    /// The worker stops before the attempt has ended. It does not count as one.
    HandedBack,
}

impl TaskReport {
    /// A report with nothing more to say.
    #[must_use]
    pub fn new(worker: impl Into<String>, epoch: u32, state: TaskReportState) -> Self {
        let worker = worker.into();
        let (message, progress, result, data, next_at) = (None, None, None, None, None);
        Self { worker, epoch, state, message, progress, result, data, next_at }
    }

    /// With a message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Checks every field against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.progress.is_some_and(|progress| progress > 100) {
            return Err(FieldError::new("progress", "must be 0 to 100"));
        }
        for (field, value) in [("result", &self.result), ("data", &self.data)] {
            value.as_ref().map_or(Ok(()), |value| value.check(field))?;
        }
        Ok(())
    }

    /// About how much memory its texts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let json = [&self.result, &self.data];
        let json = json.map(|json| json.as_ref().map_or(0, |json| json.as_str().len()));
        let message = self.message.as_ref().map_or(0, String::len);
        size_of::<Self>() + json.iter().sum::<usize>() + message + self.worker.len()
    }
}

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskReported {
    /// Whether the same report was applied before.
    pub repeated: bool,
    /// The job's visible state after it.
    pub state: State,
    /// Whether the task is to be cancelled.
    pub cancel: bool,
}

/// What became of a job that was cancelled with all that is open below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelledTree {
    /// Jobs that this request has ended.
    pub ended: u64,
    /// Jobs whose workers were asked to stop; these end when they have, or when their time for
    /// that is over.
    pub stopping: u64,
    /// Whether there are more jobs than one request cancels: send it again, at once if this one has
    /// ended some, and otherwise when some that are stopping have.
    pub more: bool,
}

/// What happens with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TaskPhaseName {
    /// It waits for a worker.
    Waiting,
    /// A worker has it.
    Running,
    /// It waits until it is resumed.
    Paused,
    /// It is over.
    Ended,
}

/// The task of a job as the service shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// The job.
    pub job: JobId,
    /// The task, as it was given.
    pub task: NewTask,
    /// What happens with it.
    pub phase: TaskPhaseName,
    /// Since when; of a task that waits, from when it may be claimed.
    pub since: Timestamp,
    /// How many leases of it there have been.
    pub epoch: u32,
    /// How many attempts have begun, without those that were handed back.
    pub attempt: u32,
    /// The worker that has it.
    pub worker: Option<String>,
    /// When the lease ends unless the worker is heard of.
    pub lease_until: Option<Timestamp>,
    /// The worker for which it is kept while it waits, if its routing has chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Whether its worker was asked to stop.
    pub cancelling: bool,
    /// How far the attempt is, in percent.
    pub progress: u8,
    /// What the handler has answered.
    pub result: Option<Payload>,
    /// What the handler has left for the next attempt or run.
    pub data: Option<Payload>,
    /// When the handler wants to run again.
    pub next_at: Option<Timestamp>,
}
