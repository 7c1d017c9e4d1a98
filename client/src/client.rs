use std::{fmt, sync::Arc};

use crate::{ClientBuilder, Result, ids::IdBlocks, request::Http};

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

impl JobTrackerClient {
    /// A client of the service at this address, without a token and with the default settings.
    ///
    /// # Errors
    /// See [`ClientBuilder::build`].
    pub fn new(base_url: impl AsRef<str>) -> Result<Self> {
        Self::builder(base_url).build()
    }

    /// A client of the service at this address, such as `http://127.0.0.1:8840`, to be set up. A
    /// path in it is kept before the paths of the API.
    pub fn builder(base_url: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(base_url.as_ref())
    }
}

impl fmt::Debug for JobTrackerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTrackerClient")
            .field("base_url", &self.http.base.as_str())
            .finish_non_exhaustive()
    }
}
