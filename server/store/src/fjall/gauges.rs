use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{hot_cache::HotCache, stages::Stages, tables::Tables};
use crate::{Error, Result};

/// The writer's counters.
#[derive(Default)]
pub struct Meters {
    pub free_bytes: AtomicU64,
    pub journal_bytes: AtomicU64,
    pub reopened: AtomicU64,
    groups: AtomicU64,
    group_bytes: AtomicU64,
    group_micros: AtomicU64,
    trees: AtomicU64,
    stale: AtomicU64,
}

/// A number for the metrics page: name, help, value.
pub type Gauge = (&'static str, &'static str, u64);

impl Meters {
    /// Counts the trees of one call.
    pub fn count(&self, answers: &[Result<()>], written: &Result<()>) {
        let stale = |answer: &&Result<()>| matches!(answer, Err(Error::Stale { .. }));
        self.stale.fetch_add(answers.iter().filter(stale).count() as u64, Relaxed);
        if written.is_ok() {
            let done = answers.iter().filter(|answer| answer.is_ok()).count();
            self.trees.fetch_add(done as u64, Relaxed);
        }
    }

    /// Counts one batch that has become durable.
    pub fn wrote(&self, bytes: u64, took: Duration) {
        self.groups.fetch_add(1, Relaxed);
        self.group_bytes.fetch_add(bytes, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.group_micros.fetch_add(micros, Relaxed);
    }
}

/// All the numbers. Nothing here waits for the disk.
pub fn read(
    meters: &Meters,
    cache: &HotCache,
    stages: &Stages,
    tables: &Tables,
    reads_waiting: usize,
) -> Vec<Gauge> {
    let (nodes, definitions) = cache.bytes();
    let (open, staged) = stages.count();
    let database = &tables.database;
    let of_all = |number: fn(&fjall::Keyspace) -> u64| tables.all().into_iter().map(number).sum();
    // A job's origin is written once, so there is one row for each.
    let jobs = tables.origins.approximate_len() as u64;
    vec![
        ("store_jobs", "Jobs in the store, about.", jobs),
        ("store_reopened", "Times it came back after a failure.", meters.reopened.load(Relaxed)),
        ("store_groups", "Batches made durable.", meters.groups.load(Relaxed)),
        ("store_group_bytes", "Bytes in them.", meters.group_bytes.load(Relaxed)),
        ("store_group_micros", "Microseconds spent on them.", meters.group_micros.load(Relaxed)),
        ("store_trees_committed", "Commits of one tree done.", meters.trees.load(Relaxed)),
        ("store_trees_stale", "Commits of one tree refused as stale.", meters.stale.load(Relaxed)),
        ("store_stages", "Trees staged, or being removed.", open),
        ("store_staged_jobs", "Jobs in them.", staged),
        ("store_removals", "Deleted trees that have rows left.", cache.removals() as u64),
        ("store_answered_hot", "Reads answered from memory.", cache.answered.load(Relaxed)),
        ("store_answered_cold", "Reads that went to a thread.", cache.missed.load(Relaxed)),
        ("store_reads_waiting", "Reads that wait for a thread.", reads_waiting as u64),
        ("store_node_cache_bytes", "Memory for hot jobs.", nodes),
        ("store_definition_cache_bytes", "Memory for hot definitions.", definitions),
        ("store_block_cache_bytes", "Memory for blocks of tables.", database.cache_size()),
        ("store_write_buffer_bytes", "Rows not yet in tables.", database.write_buffer_size()),
        (
            "store_sealed_buffers",
            "Write buffers on their way to disk.",
            of_all(|keyspace| keyspace.sealed_memtable_count() as u64),
        ),
        ("store_merges_running", "Merges of tables.", database.active_compactions() as u64),
        ("store_tables", "Table files.", of_all(|keyspace| keyspace.table_count() as u64)),
        ("store_table_bytes", "Their size.", of_all(fjall::Keyspace::disk_space)),
        ("store_journals", "Journal files.", database.journal_count() as u64),
        ("store_journal_bytes", "Their size.", meters.journal_bytes.load(Relaxed)),
        ("store_free_bytes", "Free on the disk.", meters.free_bytes.load(Relaxed)),
    ]
}
