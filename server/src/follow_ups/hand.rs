use std::{collections::HashSet, sync::Arc};

use jobtracker_model::JobId;
use jobtracker_store::FollowUpKey;
use parking_lot::Mutex;

/// What is being done, or stands in line for it: it is due until it is done, and is not to be begun
/// twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Hands(Arc<Mutex<HashSet<(JobId, FollowUpKey)>>>);

/// Something that is in hand until this is dropped.
#[derive(Debug)]
pub(super) struct InHand {
    hands: Hands,
    what: (JobId, FollowUpKey),
}

impl Hands {
    /// Takes something into hand, unless it is there already.
    pub fn take(&self, what: (JobId, FollowUpKey)) -> Option<InHand> {
        let is_new = self.0.lock().insert(what);
        // Only what was taken here may be made: it gives it back when it is dropped.
        is_new.then(|| InHand { hands: self.clone(), what })
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.hands.0.lock().remove(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_not_taken_again_until_it_is_given_back() {
        let (hands, what) = (Hands::default(), (JobId::MIN, FollowUpKey::Check(0)));
        let taken = hands.take(what);
        assert!(taken.is_some() && hands.take(what).is_none() && hands.take(what).is_none());
        drop(taken);
        assert!(hands.take(what).is_some());
    }
}
