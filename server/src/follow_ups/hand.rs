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
        let hands = self.clone();
        self.0.lock().insert(what).then_some(InHand { hands, what })
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.hands.0.lock().remove(&self.what);
    }
}
