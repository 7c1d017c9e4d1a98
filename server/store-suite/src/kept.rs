use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, State, Timestamp, rollup::Status,
};
use jobtracker_store::{FollowUp, FollowUpKey, IndexId, Origin, RepeatRow};

/// One job with everything that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub origin: Origin,
    pub definition: Arc<Definition>,
    pub status: Status,
    /// The visible state that the last commit left; `None` when the job was in no commit yet.
    pub stored: Option<State>,
    pub children: BTreeSet<JobId>,
    pub changes: Vec<Change>,
    pub log: Vec<LogLine>,
    pub repeats: BTreeMap<Repeat, RepeatRow>,
    pub attachments: BTreeMap<String, String>,
    pub follow_ups: BTreeMap<FollowUpKey, FollowUp>,
    /// The entries in lists by time that the last commit left.
    pub places: BTreeMap<FollowUpKey, (IndexId, Timestamp)>,
}
