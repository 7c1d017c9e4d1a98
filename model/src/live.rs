//! What the service tells of trees while they change: topics, and the frames that go over a
//! WebSocket (`/api/v1/live`) and over server-sent events (`/api/v1/events`).

mod frame;
mod list;
mod position;
mod topic;

pub use frame::{
    ClientFrame, DeliveriesState, Frame, Gap, GapReason, LiveEvent, Occurrence, OverviewState,
    RootsState, ServerFrame, Subscribe,
};
pub use list::{ListState, QueueLengths};
pub use position::{InvalidPosition, Position};
pub use topic::{EventKind, InvalidTopic, Topic, UnknownKind};

use serde::{Deserialize, Serialize};

use crate::{
    Change, Children, Definition, JobId, Mark, PathStep, State, Subtree, Timestamp, rollup::Status,
};

/// Jobs of one tree whose rows are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowQuery {
    /// The root of the tree.
    pub root: JobId,
    /// 1 to 500 ids.
    pub ids: Vec<JobId>,
    /// The `version` of an answer that the caller has: if the tree still has that version, the
    /// answer has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// Rows of one tree at one version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// The root of the tree.
    pub root: JobId,
    /// How many commits the tree has had: all rows are as they were after this one.
    pub version: u64,
    /// The rows are those that differ from the snapshot of this version, which the receiver has;
    /// absent: they are all that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The rows, by id.
    pub rows: Vec<JobSummary>,
    /// The ids that were asked for and name no job of the tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<JobId>,
}

/// A job as a table shows it: without options and source link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobSummary {
    /// The job.
    pub id: JobId,
    /// What never changes of it; absent where the receiver was told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<SummaryDefinition>,
    /// The visible state.
    pub state: State,
    /// When it first reported Running.
    pub start_time: Option<Timestamp>,
    /// When its own work ended, if it has.
    pub end_time: Option<Timestamp>,
    /// The first time that the job or one below it reported Running.
    pub tree_start: Option<Mark>,
    /// When the job last became finished; absent while it is not.
    pub tree_end: Option<Mark>,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
    /// How many own state changes it has.
    pub changes: u32,
    /// How many lines its log has.
    pub log_lines: u32,
    /// How many attachments it has.
    pub attachments: u32,
}

impl JobSummary {
    /// The row of a job with this status.
    #[must_use]
    pub fn new(id: JobId, definition: SummaryDefinition, status: &Status) -> Self {
        Self {
            id,
            definition: Some(definition),
            state: status.state,
            start_time: status.start_time,
            end_time: status.end_time,
            tree_start: status.tree_start,
            tree_end: status.tree_end,
            children: status.children,
            subtree: status.subtree,
            changes: status.changes,
            log_lines: status.log_lines,
            attachments: status.attachments,
        }
    }
}

/// What another job waits for, or what made it fail, with the row of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockerSummary {
    /// The job.
    pub job: JobSummary,
    /// What it said last; of one that failed, its first Faulted change, which says why.
    pub last_change: Change,
    /// The jobs between the one that was asked about and this one, from the top; where the request
    /// asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<PathStep>>,
}

/// The part of a row that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SummaryDefinition {
    /// The parent; none for a root.
    pub parent: Option<JobId>,
    /// Steps from the root.
    pub depth: u32,
    /// What people call the job.
    pub name: String,
    /// Who created it.
    pub created_by: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was created.
    pub create_time: Timestamp,
}

impl SummaryDefinition {
    /// What a row shows of this definition of a job that stands there in its tree.
    #[must_use]
    pub fn new(
        parent: Option<JobId>,
        depth: u32,
        definition: &Definition,
        create_time: Timestamp,
    ) -> Self {
        let Definition { name, created_by, tags, .. } = definition;
        Self {
            parent,
            depth,
            name: name.clone(),
            created_by: created_by.clone(),
            tags: tags.clone(),
            create_time,
        }
    }
}
