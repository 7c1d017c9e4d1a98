use std::{fmt, sync::Arc};

use crate::{ids::IdBlocks, request::Http};

/// A client of one service over HTTP.
///
/// What it can do is [`JobTracker`](crate::JobTracker), whose methods it has as its own, so that no
/// trait need be imported. A clone is cheap and shares everything:
/// connections, rate limit and reserved ids. A program needs one. It must be used inside a tokio
/// runtime with time and I/O enabled.
#[derive(Clone)]
pub struct JobTrackerClient {
    pub(crate) http: Arc<Http>,
    pub(crate) ids: Arc<IdBlocks>,
}

impl fmt::Debug for JobTrackerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTrackerClient")
            .field("base_url", &self.http.base.as_str())
            .finish_non_exhaustive()
    }
}
