use std::sync::Arc;

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, State, Timestamp, rollup::Status, upload::UploadId,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Origin, RepeatRow, Result, StageId, Tombstone,
    TreeResultRow,
};

/// How often a tree has been committed to; 0: the tree is not there.
pub type Version = u64;

/// Changes to one tree that become visible and durable together or not at all.
#[derive(Debug, Clone)]
pub struct TreeCommit {
    /// The tree.
    pub root: JobId,
    /// The version that the rows were computed from; the store refuses the commit when the tree has
    /// another version by now. Afterwards the tree has this version plus one.
    pub expected: Version,
    /// The rows to write, each at most once and in no particular order. What follows from a step
    /// (callbacks to send, checks to make) is a row of the same commit.
    pub rows: Vec<Row>,
    /// A stage of this tree, which becomes visible with the rows.
    pub publishes: Option<StageId>,
}

/// One row of a commit.
///
/// Logs of trees keep it as it is here: the order of variants and fields never changes, and new
/// ones come last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Row {
    /// A new job. Its status is a row of its own.
    Job {
        /// The job.
        id: JobId,
        /// Its position in the tree.
        origin: Origin,
        /// What its creator said of it.
        definition: Arc<Definition>,
    },
    /// The definition of a job that is there, with other options.
    Definition {
        /// The job.
        id: JobId,
        /// Its parent.
        parent: Option<JobId>,
        /// The whole definition.
        definition: Arc<Definition>,
    },
    /// The status of a job, new or not.
    Status {
        /// The job.
        id: JobId,
        /// Its parent.
        parent: Option<JobId>,
        /// The visible state that the store has for it; `None` when the job is new.
        before: Option<State>,
        /// The whole status.
        status: Status,
    },
    /// An own change after the creation, which the status itself tells.
    Change {
        /// The job.
        id: JobId,
        /// Its number; the creation is 0.
        number: u32,
        /// The change.
        change: Change,
    },
    /// A line of a job's log.
    LogLine {
        /// The job.
        id: JobId,
        /// The line with its number.
        #[serde(with = "crate::coding::numbered_line")]
        line: LogLine,
    },
    /// What a repeatable append did.
    Repeat {
        /// The job.
        id: JobId,
        /// The sender's name for it.
        key: Repeat,
        /// What it did.
        row: RepeatRow,
    },
    /// An attachment, new or with a new text.
    Attachment {
        /// The job.
        id: JobId,
        /// Its key.
        key: String,
        /// Its text; `None` removes it.
        text: Option<String>,
    },
    /// The result on this tree of an upload: that it was applied, which is what the other rows do.
    /// It replaces a refusal.
    TreeResult {
        /// The upload.
        commit: UploadId,
        /// The result; no refusal.
        row: TreeResultRow,
    },
    /// A follow-up, new or changed. Its job has the flag that it is followed.
    FollowUp {
        /// The job.
        id: JobId,
        /// Its name.
        key: FollowUpKey,
        /// The index in which the store has an entry of it, and the time of the entry.
        before: Option<(IndexId, Timestamp)>,
        /// Its new value.
        row: FollowUp,
    },
    /// The tree is deleted: the only row of its commit, which publishes nothing. From that instant
    /// on no reader finds a job of it, and its version stays, so that nothing is created in its
    /// place. What it has occupied is removed in the background, in small steps, also by the next
    /// process.
    Deleted {
        /// The root.
        root: JobId,
        /// When the root was created.
        created: Timestamp,
        /// What is kept of the tree.
        tombstone: Tombstone,
    },
}

impl TreeCommit {
    /// What is kept of the tree, if this deletes it.
    #[must_use]
    pub fn tombstone(&self) -> Option<&Tombstone> {
        self.rows.first().and_then(Row::tombstone)
    }
}

impl Row {
    /// The job that it belongs to; `None` for a result and for a deletion.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Job { id, .. }
            | Self::Definition { id, .. }
            | Self::Status { id, .. }
            | Self::Change { id, .. }
            | Self::LogLine { id, .. }
            | Self::Repeat { id, .. }
            | Self::Attachment { id, .. }
            | Self::FollowUp { id, .. } => Some(*id),
            Self::TreeResult { .. } | Self::Deleted { .. } => None,
        }
    }

    /// What is kept of the tree, if this deletes it.
    #[must_use]
    pub fn tombstone(&self) -> Option<&Tombstone> {
        match self {
            Self::Deleted { tombstone, .. } => Some(tombstone),
            _ => None,
        }
    }

    /// The entry of it in an index.
    #[must_use]
    pub fn entry(&self) -> Option<(IndexId, IndexKey)> {
        let Self::FollowUp { id, key, row, .. } = self else { return None };
        let (index, time) = row.entry()?;
        Some((index, IndexKey { time, id: *id, key: *key }))
    }
}

/// Refuses rows that readers would find in an index before the rows are committed.
pub(crate) fn check_staged(rows: &[Row]) -> Result<()> {
    let indexed = rows.iter().find_map(Row::entry);
    indexed.map_or(Ok(()), |(_, entry)| Err(Error::NotStaged(entry.id)))
}
