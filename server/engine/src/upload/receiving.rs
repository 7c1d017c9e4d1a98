use std::{collections::HashSet, sync::Arc};

use jobtracker_model::upload::UploadId;
use parking_lot::Mutex;

/// The uploads that are being received.
pub(crate) type UploadsUnderWay = Arc<Mutex<HashSet<UploadId>>>;

/// An upload that is being received; dropping it ends that.
pub(crate) struct Receiving {
    pub id: UploadId,
    pub(super) all: UploadsUnderWay,
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Receiving").field(&self.id).finish()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}
