//! Follow-ups of the jobs that a group of operations works on.

use jobtracker_model::JobId;
use jobtracker_store::{FollowUp, FollowUpKey, Watch};

use super::Workspace;

impl Workspace {
    pub fn follow_up(&self, id: JobId, key: FollowUpKey) -> Option<&FollowUp> {
        self.follow_ups.get(&(id, key))
    }

    /// What has to be known of a job's follow-ups, if it has any.
    pub fn watch(&self, id: JobId) -> Option<&Watch> {
        match self.follow_up(id, FollowUpKey::Watch) {
            Some(FollowUp::Watch(watch)) => Some(watch),
            _ => None,
        }
    }

    /// Puts a follow-up of an existing job. The workspace knows the store's row of it.
    pub fn set_follow_up(&mut self, id: JobId, key: FollowUpKey, row: FollowUp) {
        let before = self.follow_up(id, key).and_then(FollowUp::entry);
        self.tree(id).follow_ups.entry((id, key)).or_insert(before);
        self.follow_ups.insert((id, key), row);
    }
}
