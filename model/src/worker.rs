//! Workers: the processes that run tasks, and what they and the service say to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, FollowedRun, JobId, NewJob, Payload, Shard, Timestamp, check_handler, check_name,
    limits, task::check_worker_words, text::or_default,
};

/// A process that wants to run tasks. Each start of a process is a worker of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewWorker {
    /// What people call it, the same at each start: 1 to 40 of `A-Z a-z 0-9 . _ -`, not only dots.
    pub name: String,
    /// What it can run: 1 to 200 handlers.
    pub handlers: Vec<WorkerHandler>,
    /// Up to 32 tags, by which tasks choose workers.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Up to 32 labels, by which tasks choose workers.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many tasks it runs at once: 1 to 1,000.
    pub slots: u32,
}

/// A handler that a worker offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerHandler {
    /// `service/name`.
    pub name: String,
    /// What it does, for people; up to 256 bytes.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl NewWorker {
    /// Checks every field against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self) -> Result<(), FieldError> {
        check_name(&self.name)?;
        if self.name.len() > limits::WORKER_NAME {
            let reason = format!("has more than {} bytes", limits::WORKER_NAME);
            return Err(FieldError::new("name", reason));
        }
        if !(1..=limits::WORKER_HANDLERS).contains(&self.handlers.len()) {
            let reason = format!("must name 1 to {} handlers", limits::WORKER_HANDLERS);
            return Err(FieldError::new("handlers", reason));
        }
        for handler in &self.handlers {
            check_handler("handlers.name", &handler.name)?;
            if handler.description.len() > limits::NAME {
                let reason = format!("has more than {} bytes", limits::NAME);
                return Err(FieldError::new("handlers.description", reason));
            }
        }
        check_worker_words("worker", &self.tags, &self.labels)?;
        if !(1..=limits::WORKER_SLOTS).contains(&self.slots) {
            let reason = format!("must be 1 to {}", limits::WORKER_SLOTS);
            return Err(FieldError::new("slots", reason));
        }
        Ok(())
    }
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerRegistered {
    /// The id by which the worker is known from now on.
    pub id: String,
    /// How often the worker has to be heard of, in milliseconds.
    pub heartbeat_ms: u64,
    /// After how long a silence its leases end, in milliseconds.
    pub lease_ms: u64,
}

/// What a worker can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimTasks {
    /// How many tasks at most: 1 to 1,000.
    pub free: u32,
    /// How long to wait for one, in milliseconds: 0 to 30,000.
    #[serde(default)]
    pub wait_ms: u64,
    /// How many tasks it has of each key of a `filter.perWorker`: up to 1,000 keys. What a worker
    /// does not say is not counted.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub has: BTreeMap<String, u32>,
}

impl ClaimTasks {
    /// Checks every field against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        if !(1..=limits::WORKER_SLOTS).contains(&self.free) {
            let reason = format!("must be 1 to {}", limits::WORKER_SLOTS);
            return Err(FieldError::new("free", reason));
        }
        let most = limits::WORKER_SLOTS as usize;
        if self.has.len() > most {
            let reason = format!("has {} keys; at most {most}", self.has.len());
            return Err(FieldError::new("has", reason));
        }
        check_wait(self.wait_ms)
    }
}

fn check_wait(wait_ms: u64) -> Result<(), FieldError> {
    let most = limits::WORKER_WAIT_MS;
    let error = || FieldError::new("waitMs", format!("must be 0 to {most}"));
    (wait_ms <= most).then_some(()).ok_or_else(error)
}

/// The tasks that a worker has on lease from now on; none when the time is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedTasks {
    /// The tasks.
    pub tasks: Vec<ClaimedTask>,
}

/// A task that a worker has on lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedTask {
    /// The job.
    pub job: JobId,
    /// The lease, which each report names. It grows with each lease of the task, so that it can
    /// fence what the handler writes elsewhere.
    pub epoch: u32,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The handler.
    pub handler: String,
    /// The parameters.
    pub params: Option<Payload>,
    /// What an earlier attempt or run left.
    pub data: Option<Payload>,
    /// The run of another schedule that its run follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FollowedRun>,
    /// Which part of a divided work it is.
    pub shard: Option<Shard>,
    /// By which key it is counted among the tasks of its worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_worker_key: Option<String>,
    /// How long the attempt may take, in milliseconds; absent: for ever.
    pub execution_ms: Option<u64>,
    /// When that time is over, by the service's clock.
    pub deadline: Option<Timestamp>,
    /// How long the handler may take to stop when it is cancelled, in milliseconds.
    pub cancel_grace_ms: u64,
}

/// A sign of life of a worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// How busy it is.
    pub load: Option<WorkerLoad>,
    /// The tasks that it has on lease; up to 1,000.
    pub tasks: Vec<HeldTask>,
    /// How long the answer may wait for an order, in milliseconds: 0 to 30,000.
    pub wait_ms: u64,
}

impl Heartbeat {
    /// Checks every field against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        let most = limits::WORKER_SLOTS as usize;
        if self.tasks.len() > most {
            let reason = format!("has {}; at most {most}", self.tasks.len());
            return Err(FieldError::new("tasks", reason));
        }
        if self.tasks.iter().any(|task| task.progress.is_some_and(|progress| progress > 100)) {
            return Err(FieldError::new("tasks.progress", "must be 0 to 100"));
        }
        check_wait(self.wait_ms)
    }
}

/// How busy a worker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerLoad {
    /// Busy share of its processors, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Free memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_memory: Option<u64>,
    /// How many processors it has; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processors: Option<u32>,
    /// How long a request to the service and its answer take, in milliseconds, smoothed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
}

/// A task that a worker has on lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldTask {
    /// The job.
    pub job: JobId,
    /// The lease.
    pub epoch: u32,
    /// How far it is, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
}

/// What a worker is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Orders {
    /// Tasks to stop, and to report as ended.
    pub cancel: Vec<JobId>,
    /// Tasks to stop without a report: they are not on lease to it any more.
    pub abandon: Vec<JobId>,
    /// Whether to claim nothing new, to finish what it has, and to leave.
    pub drain: bool,
}

/// What a worker may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkerState {
    /// It is heard of, and claims tasks.
    Online,
    /// It finishes what it has.
    Draining,
    /// It was silent for a lease time.
    Offline,
    /// It was kicked, and may not come back for a while.
    Kicked,
}

/// A worker as the service knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerView {
    /// Its id.
    pub id: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub worker: NewWorker,
    /// What it is.
    pub state: WorkerState,
    /// When it registered.
    pub registered: Timestamp,
    /// When it was last heard of.
    pub heard: Timestamp,
    /// How many tasks it has, as it last said.
    pub running: u32,
    /// How busy it is, as it last said.
    pub load: Option<WorkerLoad>,
    /// Until when a kicked worker may not register again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_until: Option<Timestamp>,
}

/// A handler and the workers that offer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandlerView {
    /// `service/name`.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Workers that offer it and are online.
    pub workers: u32,
}

/// How long a worker is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KickWorker {
    /// For how long no worker of its name may register, in milliseconds: 0 to 86,400,000.
    pub ban_ms: u64,
}

/// Children of a job that the holder of its task creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskChildren {
    /// The worker's id.
    pub worker: String,
    /// The lease.
    pub epoch: u32,
    /// 1 to 10,000 jobs, as for any children.
    pub jobs: Vec<NewJob>,
}

/// Lines for the log of a job that the holder of its task appends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskLog {
    /// The worker's id.
    pub worker: String,
    /// The lease.
    pub epoch: u32,
    /// 1 to 1,000 lines without line breaks.
    pub lines: Vec<String>,
    /// Chosen by the sender, unique per append, 1 to 64 bytes: it makes the append repeatable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_id: Option<String>,
}
