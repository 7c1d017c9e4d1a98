use std::ops::Range;

use jobtracker_client::{Error as ClientError, IdBlocks};
use jobtracker_model::JobId;
use parking_lot::Mutex;

use crate::{Error, Result};

/// Gives out ids for new jobs, each once.
pub(crate) enum Ids {
    /// In blocks that the service reserves.
    Reserved(IdBlocks),
    /// These, and no others.
    Given(Mutex<Range<u64>>),
}

impl Ids {
    /// The next id. It waits for the service only if ids are used faster than they are reserved.
    pub async fn next(&self) -> Result<JobId> {
        match self {
            Self::Reserved(blocks) => blocks.next().await.map_err(|error| match error {
                ClientError::NoIds(source) => Error::NoIds(source),
                other => Error::NoIds(other.into()),
            }),
            Self::Given(left) => left.lock().next().and_then(JobId::new).ok_or(Error::IdsUsedUp),
        }
    }
}
