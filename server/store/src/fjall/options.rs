use std::{io, path::Path, path::PathBuf, sync::Arc, time::Duration};

/// Tells how many bytes are free for data in a directory.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

const MIB: u64 = 1024 * 1024;

/// Descriptors besides those of cached files: two locks, the journal and its successor, and what is
/// open while directories are flushed.
const DESCRIPTORS: usize = 12;
/// For each thread that writes tables: a merge reads a dozen, and writes one and a list of them.
const DESCRIPTORS_PER_WORKER: usize = 16;

/// Where the data is, and what the store may use. Every field has a default.
#[derive(Clone)]
pub struct FjallOptions {
    /// The directory; the store's alone. It is created if it is not there.
    pub directory: PathBuf,
    /// Memory for blocks of table files.
    pub block_cache_bytes: u64,
    /// Memory for jobs without their definitions, ready to be answered at once.
    pub node_cache_bytes: u64,
    /// Memory for definitions, ready to be answered at once.
    pub definition_cache_bytes: u64,
    /// Size at which each of the four write buffers goes to disk. In the worst case every one of
    /// them is there four times: one that is being filled and three on their way. A start after a
    /// crash fills them again from the journal, which takes the longer the larger they are.
    pub write_buffer_bytes: u64,
    /// Threads that read.
    pub readers: usize,
    /// Reads that may wait for a thread; more are answered "unavailable". The engine's own reads do
    /// not count: they go first.
    pub read_queue: usize,
    /// Calls that may wait for the writer; more wait in their callers.
    pub commit_queue: usize,
    /// Threads that write table files and merge them. One is enough for a small machine: of
    /// several, the engine keeps the first free for new files, and it spins while the others merge.
    pub workers: usize,
    /// Table files that stay open when they have been read, at least 10; others are opened again
    /// for each read.
    pub cached_files: usize,
    /// Commits are refused when less than this is left on the disk, on top of what the write
    /// buffers and a merge of tables may need.
    pub min_free_bytes: u64,
    /// How long the store may be out of service, after writing has failed, until only a new
    /// process may help. The time in which the disk is full does not count.
    pub patience: Duration,
    /// How the store finds out the free space.
    pub free_space: FreeSpace,
}

impl FjallOptions {
    /// The defaults, for data in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            block_cache_bytes: 32 * MIB,
            node_cache_bytes: 32 * MIB,
            definition_cache_bytes: 32 * MIB,
            write_buffer_bytes: 8 * MIB,
            readers: 2,
            read_queue: 1024,
            commit_queue: 64,
            workers: 1,
            cached_files: 256,
            min_free_bytes: 64 * MIB,
            patience: Duration::from_secs(60),
            free_space: Arc::new(free_space),
        }
    }

    /// How many descriptors the store may need at once. When it cannot have them, writing fails,
    /// and comes back when it can.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let workers = self.workers.max(1).saturating_mul(DESCRIPTORS_PER_WORKER);
        // Each thread that reads may have a file open that is no longer in the cache.
        [self.cached_files, self.readers, workers]
            .into_iter()
            .fold(DESCRIPTORS, usize::saturating_add)
    }
}

/// The space that an ordinary user may still use, as the file system says.
fn free_space(directory: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(directory)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
