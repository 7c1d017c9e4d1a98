use serde::{Deserialize, Serialize};

use super::UploadId;
use crate::{JobId, State};

/// The outcome of an upload, in sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadOutcome {
    /// The upload.
    pub id: UploadId,
    /// Whether every tree of it has its result. False: it broke off, or is still coming in; send
    /// it again under the same id, and what was applied stays as it is.
    pub complete: bool,
    /// Trees with a result.
    pub trees: u64,
    /// Trees that were applied, now or when the upload was sent before.
    pub applied: u64,
    /// Trees that were refused; nothing of them was applied.
    pub refused: u64,
    /// Jobs created in the trees that were applied.
    pub jobs: u64,
    /// Changes applied in them, the creations not counted.
    pub changes: u64,
    /// Changes that were not applied because the job was finished.
    pub blocked: u64,
    /// The results of the first 100 trees that were refused or had changes blocked; list the
    /// trees of the upload for the rest.
    pub attention: Vec<TreeResult>,
}

/// The result of one tree of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TreeResult {
    /// The root.
    pub root: JobId,
    /// Jobs created.
    pub jobs: u64,
    /// Changes applied, the creations not counted.
    pub changes: u64,
    /// Changes that had been applied before, by their change ids.
    pub repeated: u64,
    /// How many changes were not applied because the job was finished.
    pub blocked: u64,
    /// The first 100 of those.
    pub blocked_changes: Vec<BlockedChange>,
    /// Why nothing of the tree was applied; none if it was applied.
    pub refusal: Option<Refusal>,
}

/// A change that met a finished job, and changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockedChange {
    /// The number of its record in the stream.
    pub position: u64,
    /// The job.
    pub job: JobId,
    /// The visible state of the job.
    pub state: State,
}

/// Why nothing of a tree was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// The number of the record in the stream.
    pub position: u64,
    /// The stable code, as of a problem.
    pub code: String,
    /// What is special about this one, and what to do.
    pub detail: String,
}

impl TreeResult {
    /// A tree that was applied, with nothing in it so far.
    #[must_use]
    pub fn new(root: JobId) -> Self {
        Self {
            root,
            jobs: 0,
            changes: 0,
            repeated: 0,
            blocked: 0,
            blocked_changes: Vec::new(),
            refusal: None,
        }
    }

    /// Whether the tree was applied.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.refusal.is_none()
    }
}

impl UploadOutcome {
    /// An upload of which nothing is known yet.
    #[must_use]
    pub fn new(id: UploadId) -> Self {
        Self {
            id,
            complete: false,
            trees: 0,
            applied: 0,
            refused: 0,
            jobs: 0,
            changes: 0,
            blocked: 0,
            attention: Vec::new(),
        }
    }

    /// Adds the result of a tree.
    pub fn add(&mut self, tree_result: &TreeResult) {
        self.trees += 1;
        if tree_result.is_applied() {
            self.applied += 1;
            self.jobs += tree_result.jobs;
            self.changes += tree_result.changes;
        } else {
            self.refused += 1;
        }
        self.blocked += tree_result.blocked;
        let attention = !tree_result.is_applied() || tree_result.blocked > 0;
        if attention && self.attention.len() < crate::limits::RESULTS_SHOWN {
            self.attention.push(tree_result.clone());
        }
    }
}
