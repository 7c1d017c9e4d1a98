use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{Definition, JobId, Repeat, upload::UploadId};

use crate::{FollowUp, FollowUpKey, Node, RepeatRow, TreeResultRow, Version};

/// What the engine asks for before it applies a group of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Jobs, each with all its ancestors up to the root; unknown ones are left out of the answer.
    pub paths: HashSet<JobId>,
    /// Jobs whose definitions are asked for.
    pub definitions: HashSet<JobId>,
    /// Appends that may have been done before.
    pub repeats: HashSet<(JobId, Repeat)>,
    /// Attachments that may be there.
    pub attachments: HashSet<(JobId, String)>,
    /// Follow-ups that may be there. Those of a path that tell what to watch come by themselves.
    pub follow_ups: HashSet<(JobId, FollowUpKey)>,
    /// Sent commits and roots of trees that they may have been applied to.
    pub tree_results: HashSet<(UploadId, JobId)>,
}

/// The answer to [`Wanted`]: the rows of one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Jobs and their ancestors.
    pub nodes: HashMap<JobId, Node>,
    /// The version of every tree that one of the nodes belongs to.
    pub versions: HashMap<JobId, Version>,
    /// The definitions that are there.
    pub definitions: HashMap<JobId, Arc<Definition>>,
    /// The appends that have been done.
    pub repeats: HashMap<(JobId, Repeat), RepeatRow>,
    /// Those of the attachments that are there.
    pub attachments: HashSet<(JobId, String)>,
    /// Those of the follow-ups that are there, and [`FollowUpKey::Watch`] of each of the nodes that
    /// is followed.
    pub follow_ups: HashMap<(JobId, FollowUpKey), FollowUp>,
    /// The results on those that have been applied; refused ones are left out.
    pub tree_results: HashMap<(UploadId, JobId), TreeResultRow>,
}
