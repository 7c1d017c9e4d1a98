use jobtracker_model::{JobId, upload::TreeResult};
use jobtracker_store::TreeResultRow;

use super::{Stage, assembly::Assembly};
use crate::{Error, Result};

/// The tree whose records are coming in.
pub(super) enum Tree {
    Receiving {
        assembly: Box<Assembly>,
        stage: Option<Stage>,
    },
    /// The tree was applied when the upload was sent before.
    Applied {
        begin: u64,
        row: Box<TreeResultRow>,
    },
    /// The tree is refused; the rest of it is only read.
    Refused {
        root: JobId,
        begin: u64,
        error: Error,
    },
}

/// A tree that the engine has answered for.
pub(super) struct Answered {
    pub root: JobId,
    pub begin: u64,
    pub checksum: u64,
    pub bytes: usize,
    pub done: Result<TreeResult>,
}
