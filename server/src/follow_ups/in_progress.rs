use std::{collections::HashSet, sync::Arc};

use jobtracker_model::JobId;
use jobtracker_store::FollowUpKey;
use parking_lot::Mutex;

/// Follow-ups that are queued or under way: each is due until it is done, and must not be begun
/// twice.
#[derive(Debug, Clone, Default)]
pub(super) struct InProgress(Arc<Mutex<HashSet<(JobId, FollowUpKey)>>>);

/// A follow-up that is in progress until this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    in_progress: InProgress,
    what: (JobId, FollowUpKey),
}

impl InProgress {
    /// Begins a follow-up, unless it is in progress already.
    pub fn take(&self, what: (JobId, FollowUpKey)) -> Option<Entry> {
        let is_new = self.0.lock().insert(what);
        // An entry may be made only for a new key: dropping the entry removes the key.
        is_new.then(|| Entry { in_progress: self.clone(), what })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.in_progress.0.lock().remove(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_progress_is_not_begun_again_until_it_is_dropped() {
        let (in_progress, what) = (InProgress::default(), (JobId::MIN, FollowUpKey::Check(0)));
        let taken = in_progress.take(what);
        assert!(
            taken.is_some() && in_progress.take(what).is_none() && in_progress.take(what).is_none()
        );
        drop(taken);
        assert!(in_progress.take(what).is_some());
    }
}
