use jobtracker_model::{Timestamp, limits};

/// Bounds and rules of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Operations that may be taken and not answered; past it callers get
    /// [`Error::Overloaded`](crate::Error::Overloaded).
    pub queue_operations: usize,
    /// About how many bytes such operations may have; likewise.
    pub queue_bytes: usize,
    /// Operations that go into one commit.
    pub group_operations: usize,
    /// About how many bytes of operations go into one commit; a larger operation goes alone.
    pub group_bytes: usize,
    /// Commits that may be under way at once, each of other trees; 0: the store's usual number.
    pub commits_at_once: usize,
    /// New jobs that one upload may have.
    pub commit_jobs: u64,
    /// Whether updates to finished jobs change nothing.
    pub block_updates_after_finish: bool,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

impl Options {
    /// The usual bounds, with this clock.
    #[must_use]
    pub fn new(clock: fn() -> Timestamp) -> Self {
        Self {
            queue_operations: 10_000,
            queue_bytes: 128 * 1024 * 1024,
            group_operations: 1_000,
            group_bytes: 8 * 1024 * 1024,
            commits_at_once: 0,
            commit_jobs: limits::COMMIT_JOBS,
            block_updates_after_finish: true,
            clock,
        }
    }
}
