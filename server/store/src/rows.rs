use std::sync::Arc;

use jobtracker_model::{
    Change, Definition, Fingerprint, Job, JobId, Timestamp,
    live::{JobSummary, SummaryDefinition},
    rollup::Status,
    upload::{TreeResult, UploadOutcome},
};
use serde::{Deserialize, Serialize};

/// A job's position in its tree, and what its creation was. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The parent; `None` for a root.
    pub parent: Option<JobId>,
    /// The root; the job itself for a root.
    pub root: JobId,
    /// Steps from the root.
    pub depth: u32,
    /// What the creator said, as a hash: a repeated creation is compared with this, since options
    /// may have been updated in between.
    pub fingerprint: Fingerprint,
}

/// What the roll-up needs of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its position in the tree.
    pub origin: Origin,
    /// Everything that changes.
    pub status: Status,
}

/// A whole job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The job.
    pub id: JobId,
    /// The parent; `None` for a root.
    pub parent: Option<JobId>,
    /// The root; the job itself for a root.
    pub root: JobId,
    /// Steps from the root.
    pub depth: u32,
    /// What its creator said, with the options as last updated.
    pub definition: Arc<Definition>,
    /// Everything that changes.
    pub status: Status,
}

impl JobRow {
    /// The whole job that belongs to a node.
    #[must_use]
    pub fn new(id: JobId, node: Node, definition: Arc<Definition>) -> Self {
        let Node { origin, status } = node;
        let Origin { parent, root, depth, fingerprint: _ } = origin;
        Self { id, parent, root, depth, definition, status }
    }
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let JobRow { id, parent, root, depth, definition, status } = row;
        let definition = Arc::unwrap_or_clone(definition);
        Self {
            id,
            parent,
            root,
            depth,
            name: definition.name,
            created_by: definition.created_by,
            tags: definition.tags,
            options: definition.options,
            source_link: definition.source_link,
            keep_days: definition.keep_days,
            state: status.state,
            create_time: status.create_time,
            start_time: status.start_time,
            end_time: status.end_time,
            children: status.children,
            subtree: status.subtree,
            changes: status.changes,
            log_lines: status.log_lines,
            attachments: status.attachments,
            summary: false,
            failures: Vec::new(),
        }
    }
}

impl From<JobRow> for JobSummary {
    fn from(row: JobRow) -> Self {
        let JobRow { id, parent, depth, definition, status, .. } = row;
        let definition = SummaryDefinition::new(parent, depth, &definition, status.create_time);
        Self::new(id, definition, &status)
    }
}

/// A job that another one waits for, or that made it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockerRow {
    /// The job.
    pub job: JobRow,
    /// What it said last; of one that failed, what says why.
    pub last_change: Change,
}

/// What a repeatable append did the first time, so that its repetition gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatRow {
    /// The number of the change, or of the first line.
    pub first: u32,
    /// How many lines; 1 for a change.
    pub count: u32,
    /// A hash of what was sent.
    pub fingerprint: u64,
}

/// The name of a stage: rows that are hidden until a commit publishes them. The caller chooses it
/// at random; it may never have been used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u64);

/// What has become of one tree of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeResultRow {
    /// The result, with the root.
    pub tree_result: TreeResult,
    /// The checksum that was sent with the tree.
    pub checksum: u64,
    /// When it was sent; the same for all trees that were sent with it.
    pub time: Timestamp,
}

/// What has become of an upload when each of its trees has a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRow {
    /// The sum, with the name of the upload.
    pub outcome: UploadOutcome,
    /// When it was sent.
    pub time: Timestamp,
}

/// The key of a root in the list of roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RootKey {
    /// When it was created.
    pub time: Timestamp,
    /// Its id.
    pub id: JobId,
}
