use std::{collections::HashSet, sync::Arc};

use jobtracker_model::JobId;
use jobtracker_store::FollowUpKey;
use parking_lot::Mutex;

/// The follow-ups of one part of the index that are queued or under way: each is due until it is
/// done, and must not be begun twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct InProgress(Arc<Mutex<Begun>>);

#[derive(Debug, Default)]
struct Begun {
    under_way: HashSet<(JobId, FollowUpKey)>,
    /// Those that ended since the index was last read: what was read may still have them as due.
    ended: HashSet<(JobId, FollowUpKey)>,
}

/// A follow-up that is in progress until this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    in_progress: InProgress,
    what: (JobId, FollowUpKey),
}

impl InProgress {
    /// The index is read from now on, with the outcomes of all that has ended.
    pub fn read_begins(&self) {
        self.0.lock().ended.clear();
    }

    /// Begins a follow-up that was read as due, unless it is in progress or has ended since.
    pub fn take(&self, what: (JobId, FollowUpKey)) -> Option<Entry> {
        let mut begun = self.0.lock();
        let is_new = !begun.ended.contains(&what) && begun.under_way.insert(what);
        // An entry may be made only for a new key: dropping the entry removes the key.
        is_new.then(|| Entry { in_progress: self.clone(), what })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut begun = self.in_progress.0.lock();
        begun.under_way.remove(&self.what);
        begun.ended.insert(self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_progress_is_not_begun_again_until_it_was_read_again() {
        let (in_progress, what) = (InProgress::default(), (JobId::MIN, FollowUpKey::Check(0)));
        in_progress.read_begins();
        let taken = in_progress.take(what);
        assert!(
            taken.is_some() && in_progress.take(what).is_none() && in_progress.take(what).is_none()
        );
        in_progress.read_begins();
        assert!(in_progress.take(what).is_none());
        drop(taken);
        assert!(in_progress.take(what).is_none(), "it was read before it ended");
        in_progress.read_begins();
        assert!(in_progress.take(what).is_some());
    }
}
