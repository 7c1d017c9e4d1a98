use std::{path::Path, sync::Arc};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Slice,
    Snapshot,
    compaction::Leveled,
    config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};
use jobtracker_model::JobId;
use serde::de::DeserializeOwned;

use super::{FjallOptions, failure, keys, pacing::Pacing};
use crate::{Origin, Result, coding};

const MIB: u64 = 1024 * 1024;
/// The smallest bound that the engine takes: one journal that is written and one whose rows are on
/// their way to table files. A start after a crash has to read this much.
const JOURNALS: u64 = 64 * MIB;
/// Tables are small, so that a merge is short: reads and flushes never wait for long.
pub const TABLE: u64 = 16 * MIB;
/// The fewest files that the engine's cache can have.
const FEWEST_FILES: usize = 10;
/// The engine remembers a keyspace's buffer size from when it was created. This one is never
/// reached: the writer manages the buffers itself, by the current options.
const NEVER: u64 = 1024 * MIB;

/// The engine and its keyspaces.
pub struct Tables {
    pub database: Database,
    pub jobs: Keyspace,
    pub origins: Keyspace,
    pub history: Keyspace,
    pub index: Keyspace,
    /// Tells this opening of the engine from others: a snapshot of one is none of another.
    pub opening: Arc<()>,
}

impl Tables {
    /// Opens the engine in its own directory, and creates what is missing.
    pub fn open(directory: &Path, options: &FjallOptions) -> Result<Self> {
        failure::caught("opening the store", || Self::open_unguarded(directory, options))?
            .map_err(|error| failure::opening(directory, error))
    }

    fn open_unguarded(directory: &Path, options: &FjallOptions) -> fjall::Result<Self> {
        let database = Database::builder(directory)
            .cache_size(options.block_cache_bytes.max(MIB))
            .max_journaling_size(JOURNALS)
            .worker_threads(options.workers.max(1))
            .max_cached_files(Some(options.cached_files.max(FEWEST_FILES)))
            .manual_journal_persist(true)
            .with_compaction_filter_factories(Arc::new(|_| Some(Arc::new(Pacing))))
            .open()?;
        let keyspace = |name, tune: fn(KeyspaceCreateOptions) -> KeyspaceCreateOptions| {
            database.keyspace(name, || tune(every_keyspace()))
        };
        // Jobs are read only where they are known to exist: no filters for the last level.
        let jobs = keyspace("jobs", |options| options.expect_point_read_hits(true))?;
        // The store may be asked for an id that names no job, above all when one is created:
        // filters, and good ones, down to the last level.
        let origins = keyspace("origins", |options| options.filter_policy(filters(12.0)))?;
        // Logs are long and read in order. The filters are for append ids that are new.
        let history = keyspace("history", |options| {
            options.data_block_size_policy(BlockSizePolicy::all(16 * 1024))
        })?;
        let index = keyspace("index", |options| options)?;
        Ok(Self { database, jobs, origins, history, index, opening: Arc::default() })
    }

    /// An empty batch that is durable once it is committed. Every batch is, even where no caller
    /// waits for it: a power cut may tear the last batch of the journal and no earlier one.
    pub fn batch(&self, capacity: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
            .durability(Some(PersistMode::SyncData))
    }

    pub fn all(&self) -> [&Keyspace; 4] {
        [&self.jobs, &self.origins, &self.history, &self.index]
    }

    /// Whether the engine still takes writes.
    pub fn is_sound(&self) -> bool {
        // With nothing to write this only checks the flag.
        self.database.persist(PersistMode::Buffer).is_ok()
    }
}

/// A row at one instant.
pub fn get<T: DeserializeOwned>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    key: &[u8],
    what: &str,
) -> Result<Option<T>> {
    bytes(snapshot, keyspace, key)?.map(|value| coding::decode(what, &value)).transpose()
}

/// The origin of a job; none of one that was deleted.
pub fn origin(snapshot: &Snapshot, tables: &Tables, id: JobId) -> Result<Option<Origin>> {
    let row = bytes(snapshot, &tables.origins, &keys::origin(id))?;
    let row = row.filter(|row| !row.is_empty());
    row.map(|row| coding::decode("origin", &row)).transpose()
}

/// The smallest id that was not given out.
pub fn next_id(snapshot: &Snapshot, tables: &Tables) -> Result<u64> {
    let next = get(snapshot, &tables.index, &keys::NEXT_ID, "next id")?;
    Ok(next.unwrap_or(JobId::MIN.get()))
}

/// The value of a row at one instant.
pub fn bytes(snapshot: &Snapshot, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Slice>> {
    snapshot.get(keyspace, key).map_err(failure::reading)
}

fn every_keyspace() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(NEVER)
        .manual_journal_persist(true)
        .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(TABLE)))
}

fn filters(bits_per_key: f32) -> FilterPolicy {
    FilterPolicy::new([
        FilterPolicyEntry::Bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
        FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(bits_per_key)),
    ])
}
