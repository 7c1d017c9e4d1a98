use jobtracker_model::{JobId, commit::TreeVerdict};
use jobtracker_store::VerdictRow;

use super::{Stage, assembly::Assembly};
use crate::{Error, Result};

/// The tree that is coming in.
pub(super) enum Tree {
    Receiving {
        assembly: Box<Assembly>,
        stage: Option<Stage>,
    },
    /// It was applied when the commit was sent before.
    Applied {
        begin: u64,
        row: Box<VerdictRow>,
    },
    /// Nothing of it is applied; the rest of it is only read.
    Refused {
        root: JobId,
        begin: u64,
        error: Error,
    },
}

/// A tree that the engine has answered for.
pub(super) struct Landed {
    pub root: JobId,
    pub begin: u64,
    pub checksum: u64,
    pub bytes: usize,
    pub done: Result<TreeVerdict>,
}
