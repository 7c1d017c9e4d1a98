use std::{sync::Arc, time::Duration};

use jobtracker_model::JobId;
use jobtracker_store::{Summary, Version};

/// The deletion of a tree.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The root.
    pub root: JobId,
    /// The version of the tree that the caller has judged: any other one is not deleted.
    pub version: Version,
    /// The name of the principal, or of the retention rule, that asks for it.
    pub by: String,
    /// How long it is kept that, when and by whom the tree was deleted.
    pub tombstone_kept: Duration,
    /// The root as the caller has judged it, if that is kept too.
    pub summary: Option<Arc<Summary>>,
}
