use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How one server is: numbers from its memory. Other servers of a cluster have numbers of their
/// own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When it was made.
    pub time: Timestamp,
    /// The version of the service.
    pub version: String,
    /// When this server was started.
    pub started: Timestamp,
    /// Writing.
    pub operations: OperationLoad,
    /// HTTP.
    pub requests: RequestLoad,
    /// Live views.
    pub viewers: ViewerLoad,
    /// Deliveries and checks.
    pub follow_ups: FollowUpLoad,
    /// The store.
    pub store: StoreLoad,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationLoad {
    /// Operations a minute, as in the last ten seconds.
    pub per_minute: u64,
    /// Operations that were taken and wait for their commit.
    pub waiting: u64,
    /// Operations since the start that were refused because too many waited.
    pub refused: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestLoad {
    /// Requests a minute, as in the last ten seconds.
    pub per_minute: u64,
    /// Requests that are not answered yet.
    pub in_flight: u64,
}

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ViewerLoad {
    /// Connections of live views.
    pub connections: u64,
    /// Trees that are watched, or were a minute ago.
    pub trees: u64,
}

/// What is to be done later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FollowUpLoad {
    /// Deliveries and checks that are due and wait, in the parts that this server does.
    pub due: u64,
    /// Those that are being done.
    pub under_way: u64,
    /// Deliveries since the start that have arrived.
    pub delivered: u64,
    /// Deliveries since the start that have failed for good.
    pub failed: u64,
}

/// Where the jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreLoad {
    /// False: only a new process may help.
    pub is_alive: bool,
    /// Whether other servers use it too.
    pub is_shared: bool,
    /// Jobs in it, about, if it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u64>,
    /// Bytes that it takes on the disk, if it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes that are free on that disk, if it can tell: the room that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}
