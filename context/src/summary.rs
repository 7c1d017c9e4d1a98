use std::path::PathBuf;

use jobtracker_model::{
    limits,
    upload::{TreeResult, UploadId, UploadOutcome},
};

/// The outcome of what was sent, in sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flushed {
    /// Uploads that were sent. One, if there is not more than an upload may have, and none was left
    /// from before.
    pub uploads: u64,
    /// Trees in them.
    pub trees: u64,
    /// Trees that were applied.
    pub applied: u64,
    /// Trees that were refused; nothing of them was applied. They stay in the context.
    pub refused: u64,
    /// Jobs created in the trees that were applied.
    pub jobs: u64,
    /// Changes applied in them, the creations not counted.
    pub changes: u64,
    /// Changes that were not applied because another program had finished the job.
    pub blocked: u64,
    /// The results of the first 100 trees that were refused or had changes blocked.
    pub attention: Vec<TreeResult>,
    /// The first 100 uploads that have such trees; the service lists the results of each.
    pub attention_uploads: Vec<UploadId>,
}

/// What a context has thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Discarded {
    /// Creations, changes, options and lines.
    pub operations: u64,
    /// Those of them that were on their way when it was closed, or had been sent without an answer:
    /// they may have arrived.
    pub in_doubt: u64,
}

/// The content of a context now, and what it has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Creations, changes, options and lines that have no outcome yet.
    pub operations: u64,
    /// What they take in memory, roughly, and what was refused.
    pub bytes: u64,
    /// Operations in trees that were refused; see
    /// [`refused`](crate::JobTrackerContext::refused).
    pub refused: u64,
    /// Those of the operations that are on their way, or were sent without an answer.
    pub in_flight: u64,
    /// Jobs in the buffer, those of the service included.
    pub jobs: u64,
    /// Uploads that have an outcome.
    pub uploads: u64,
    /// Flushes that failed.
    pub failed_flushes: u64,
    /// The size of the journal in bytes.
    pub journal_bytes: u64,
}

/// What was found in a journal, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct RecoverReport {
    /// Creations, changes, options and lines that had no outcome.
    pub operations: u64,
    /// Operations that could not be placed because the journal does not have their jobs, as it
    /// cannot be unless it was damaged. They are lost.
    pub misplaced: u64,
    /// Bytes at the end of the journal that were not written to their end when the process died.
    pub torn_bytes: u64,
    /// Bytes within the journal that could not be read;
    /// [`salvage`](crate::JobTrackerContext::salvage) goes on behind them.
    pub damaged_bytes: u64,
    /// The file that keeps what was cut off, or all of a journal that was damaged.
    pub set_aside: Option<PathBuf>,
    /// The file that keeps the trees that the service has refused; see
    /// [`SavedTrees`](crate::SavedTrees).
    pub refused_in: Option<PathBuf>,
    /// The outcome of the operations. Check whether trees were refused.
    pub flushed: Flushed,
}

impl Flushed {
    /// Whether nothing was refused, and nothing blocked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.refused == 0 && self.blocked == 0
    }

    pub(crate) fn add_outcome(&mut self, outcome: UploadOutcome) {
        let UploadOutcome { id, trees, applied, refused, jobs, changes, blocked, .. } = outcome;
        let attention = outcome.attention;
        let attention_uploads = if refused > 0 || blocked > 0 { vec![id] } else { Vec::new() };
        self.add(Self {
            uploads: 1,
            trees,
            applied,
            refused,
            jobs,
            changes,
            blocked,
            attention,
            attention_uploads,
        });
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.uploads += other.uploads;
        self.trees += other.trees;
        self.applied += other.applied;
        self.refused += other.refused;
        self.jobs += other.jobs;
        self.changes += other.changes;
        self.blocked += other.blocked;
        self.attention.extend(other.attention);
        self.attention.truncate(limits::RESULTS_SHOWN);
        self.attention_uploads.extend(other.attention_uploads);
        self.attention_uploads.truncate(limits::RESULTS_SHOWN);
    }
}
