use jobtracker_model::{JobId, limits};

/// How much one page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Items; at least 1.
    pub items: usize,
    /// The page ends after the item that passes this size in bytes.
    pub bytes: usize,
    /// The page ends after this many rows were read, matching or not.
    pub scan: usize,
}

impl PageLimit {
    /// Pages of up to `items`, with the usual bounds for the rest.
    #[must_use]
    pub fn items(items: usize) -> Self {
        Self { items: items.clamp(1, limits::PAGE), bytes: limits::PAGE_BYTES, scan: limits::SCAN }
    }

    /// Pages for which up to `rows` rows are read, matching or not.
    #[must_use]
    pub fn rows(rows: usize) -> Self {
        Self { scan: rows, ..Self::items(rows) }
    }
}

/// Some items of a list, and where the list goes on: give `next` as `after` to continue. Without
/// `next` the list has ended. A page with a filter may have no item and still go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T, K> {
    /// The items.
    pub items: Vec<T>,
    /// The key of the last row that was read, if there may be more behind it.
    pub next: Option<K>,
}

/// Where a list of jobs goes on: behind this job.
pub type After = Option<JobId>;
