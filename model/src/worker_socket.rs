use serde::{Deserialize, Serialize};

use crate::{JobId, Payload};

/// A request of a worker over a WebSocket. Its answer has the same number, and may come before
/// those to earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerCall {
    /// The number, chosen by the worker.
    pub call: u64,
    /// What is asked for.
    pub op: WorkerOp,
    /// The id of the worker, where the operation has it in its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The job, where the operation has it in its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The body of the operation, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
}

/// The operations of a worker, each with its name over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkerOp {
    /// `POST /workers`.
    RegisterWorker,
    /// `POST /workers/{worker}/claim`.
    ClaimTasks,
    /// `POST /workers/{worker}/heartbeat`.
    Heartbeat,
    /// `POST /jobs/{job}/task/report`.
    ReportTask,
    /// `POST /jobs/{job}/task/children`.
    CreateChildrenOfTask,
    /// `POST /jobs/{job}/task/log`.
    AppendLogOfTask,
    /// `POST /workers/{worker}/drain`.
    DrainWorker,
    /// `DELETE /workers/{worker}`.
    LeaveWorker,
}

/// The answer to a [`WorkerCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerAnswer {
    /// The number of the call; absent where the call could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// The status that the operation has over HTTP.
    pub status: u16,
    /// The body that it has over HTTP, if there is one: from 400 on a problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
}
