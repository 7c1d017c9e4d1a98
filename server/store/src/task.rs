//! What is kept of a job's task.

use std::{sync::Arc, time::Duration};

use jobtracker_model::{AttemptFailure, NewTask, Payload, TaskReportState, Timestamp};
use serde::{Deserialize, Serialize};

/// A task and how far it is.
///
/// Stored as it is here: the order of variants and fields never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The task, as it was given.
    #[serde(with = "as_text")]
    pub task: Arc<NewTask>,
    /// What happens with it now.
    pub phase: TaskPhase,
    /// How many leases of it there have been; a report names the one that it comes from.
    pub epoch: u32,
    /// How many attempts have begun, without those that a worker has handed back.
    pub attempt: u32,
    /// How far the attempt is, in percent.
    pub progress: u8,
    /// What the handler has left for the next attempt or run, instead of the task's own.
    pub data: Option<Payload>,
    /// What the handler has answered.
    pub result: Option<Payload>,
    /// When the handler wants to run again.
    pub next_at: Option<Timestamp>,
    /// The last report that ended a lease, so that its repetition gets the same answer.
    pub reported: Option<Reported>,
    /// The worker that made it. `None` in rows of earlier versions, too.
    #[serde(skip)]
    pub reported_by: Option<String>,
    /// The worker that alone may claim it for now.
    #[serde(skip)]
    pub assigned: Option<Assignment>,
}

/// A task is kept for one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The worker's id.
    pub worker: String,
    /// Until when.
    pub until: Timestamp,
}

/// What happens with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskPhase {
    /// It may be claimed from that time on.
    Waiting(Timestamp),
    /// A worker has it.
    Leased(TaskLease),
    /// It waits until it is resumed; since then.
    Paused(Timestamp),
    /// It is over; since then.
    Ended(Timestamp),
}

/// The leave of one worker to run a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLease {
    /// The worker's id.
    pub worker: String,
    /// When it claimed the task.
    pub since: Timestamp,
    /// When the lease ends, unless the worker is heard of.
    pub until: Timestamp,
    /// When it was asked to stop, and the reason code that the job then ends with.
    pub cancel: Option<(Timestamp, CancelReason)>,
}

/// Why a task is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// A caller asked for it.
    Cancelled,
    /// A newer run takes its place.
    Replaced,
}

/// A report that ended a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The lease.
    pub epoch: u32,
    /// What was reported.
    pub state: TaskReportState,
}

impl CancelReason {
    /// The reason code of the change that tells of it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Replaced => "replaced",
        }
    }
}

impl TaskRow {
    /// A task that is created now.
    #[must_use]
    pub fn new(task: Arc<NewTask>, now: Timestamp) -> Self {
        let from = task.not_before.map_or(now, |from| from.max(now));
        let phase = if task.held { TaskPhase::Paused(now) } else { TaskPhase::Waiting(from) };
        Self {
            task,
            phase,
            epoch: 0,
            attempt: 0,
            progress: 0,
            data: None,
            result: None,
            next_at: None,
            reported: None,
            reported_by: None,
            assigned: None,
        }
    }

    /// The lease, if a worker has it.
    #[must_use]
    pub fn lease(&self) -> Option<&TaskLease> {
        match &self.phase {
            TaskPhase::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    /// The assignment, if it is in force at this time.
    #[must_use]
    pub fn assignment(&self, now: Timestamp) -> Option<&Assignment> {
        let waits = matches!(self.phase, TaskPhase::Waiting(_));
        self.assigned.as_ref().filter(|assigned| waits && assigned.until > now)
    }

    /// When an attempt that is under way has taken as long as it may.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let most = self.task.timeouts.execution_ms?;
        self.lease().map(|lease| lease.since.after(Duration::from_millis(most)))
    }

    /// When a lease has to be looked at: when it ends, the attempt has taken as long as it may, or
    /// the time to stop is over.
    #[must_use]
    pub fn lease_due(&self) -> Option<Timestamp> {
        let lease = self.lease()?;
        let grace = Duration::from_millis(self.task.timeouts.cancel_grace_ms);
        let stopped = lease.cancel.map(|(time, _)| time.after(grace));
        [Some(lease.until), self.deadline(), stopped].into_iter().flatten().min()
    }

    /// When a task that waits has waited as long as it may.
    #[must_use]
    pub fn start_deadline(&self) -> Option<Timestamp> {
        let TaskPhase::Waiting(from) = self.phase else { return None };
        self.task.timeouts.schedule_to_start_ms.map(|most| from.after(Duration::from_millis(most)))
    }

    /// The pause before the next attempt if this one fails like this; `None` when none follows.
    #[must_use]
    pub fn pause(&self, failure: AttemptFailure, seed: u64) -> Option<Duration> {
        self.task.retry.pause(self.attempt, failure, seed ^ u64::from(self.epoch))
    }

    /// About how much memory its texts take.
    pub(crate) fn bytes(&self) -> usize {
        let json = [&self.data, &self.result].map(|json| json.as_ref().map_or(0, text));
        let worker = self.lease().map_or(0, |lease| lease.worker.len());
        let reported_by = self.reported_by.as_ref().map_or(0, String::len);
        let assigned = self.assigned.as_ref().map_or(0, |assigned| assigned.worker.len());
        self.task.bytes() + json.iter().sum::<usize>() + worker + reported_by + assigned
    }
}

fn text(json: &Payload) -> usize {
    json.as_str().len()
}

/// The task is JSON in rows too, so that it may have more fields later.
mod as_text {
    use std::sync::Arc;

    use jobtracker_model::NewTask;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub fn serialize<S: Serializer>(task: &NewTask, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return task.serialize(serializer);
        }
        let json = serde_json::to_string(task).map_err(ser::Error::custom)?;
        serializer.serialize_str(&json)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<NewTask>, D::Error> {
        if from.is_human_readable() {
            return NewTask::deserialize(from).map(Arc::new);
        }
        let json = String::deserialize(from)?;
        serde_json::from_str(&json).map(Arc::new).map_err(de::Error::custom)
    }
}
