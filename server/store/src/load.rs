use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{Change, Definition, JobId, Repeat, upload::UploadId};

use crate::{FollowUp, FollowUpKey, Node, RepeatRow, Tombstone, TreeResultRow, Version};

/// Rows that are read together: before the engine applies a group of operations, for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Jobs, each with all its ancestors up to the root; unknown ones are left out of the answer.
    pub paths: HashSet<JobId>,
    /// Jobs whose definitions are asked for.
    pub definitions: HashSet<JobId>,
    /// Appends that may have been done before.
    pub repeats: HashSet<(JobId, Repeat)>,
    /// Attachments that may exist.
    pub attachments: HashSet<(JobId, String)>,
    /// Follow-ups that may exist. The watches of the jobs on a path are loaded in any case.
    pub follow_ups: HashSet<(JobId, FollowUpKey)>,
    /// Own changes by number, of jobs that may exist. The creation is not among them.
    pub changes: HashSet<(JobId, u32)>,
    /// Uploads and roots of trees that they may have been applied to.
    pub tree_results: HashSet<(UploadId, JobId)>,
    /// Roots of trees that may have been deleted.
    pub tombstones: HashSet<JobId>,
}

/// The answer to [`Wanted`]: the rows of one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Jobs and their ancestors.
    pub nodes: HashMap<JobId, Node>,
    /// The version of every tree that one of the nodes belongs to.
    pub versions: HashMap<JobId, Version>,
    /// The definitions that were found.
    pub definitions: HashMap<JobId, Arc<Definition>>,
    /// The appends that have been done.
    pub repeats: HashMap<(JobId, Repeat), RepeatRow>,
    /// The attachments that exist.
    pub attachments: HashSet<(JobId, String)>,
    /// The follow-ups that exist, and [`FollowUpKey::Watch`] of each followed node.
    pub follow_ups: HashMap<(JobId, FollowUpKey), FollowUp>,
    /// The own changes that exist.
    pub changes: HashMap<(JobId, u32), Change>,
    /// The results on trees that have been applied; refused ones are left out.
    pub tree_results: HashMap<(UploadId, JobId), TreeResultRow>,
    /// What is kept of the wanted trees that were deleted.
    pub tombstones: HashMap<JobId, Tombstone>,
}
