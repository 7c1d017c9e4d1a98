use serde::{Deserialize, Serialize};

use crate::QueueCounts;

/// A list as it is now, of which only what differs is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListState<Row> {
    /// Names what is told: the same list with the same rows has the same version, on every server.
    pub version: u64,
    /// What is told differs from the state of this version, which the receiver has; absent: it is
    /// all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The keys of the rows, in the order of the list; absent: they are the same as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// The rows, in no order.
    pub rows: Vec<Row>,
    /// Whether the list goes on behind them.
    pub more: bool,
}

/// How long the queue is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueLengths {
    /// Names what is told.
    pub version: u64,
    /// The numbers.
    pub counts: QueueCounts,
}
