//! The embedded engine by itself: how fast it takes rows of the number and the size that a flush
//! leaves in it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};

/// Rows in one batch.
const BATCH: u64 = 4_000;
/// The rows of a job with two changes: in which keyspace, and how large key and value are.
const ROWS: [(usize, usize, usize); 5] =
    [(0, 17, 28), (0, 17, 50), (1, 8, 27), (2, 13, 12), (2, 13, 12)];

/// Writes the rows of this many jobs in the order of their ids, durable at the end.
pub fn write_rows(folder: &Path, jobs: u64) -> Result<Duration> {
    let database = Database::builder(folder.join("raw")).manual_journal_persist(true).open()?;
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
    let keyspaces = [keyspace("jobs")?, keyspace("origins")?, keyspace("history")?];
    let begun = Instant::now();
    let mut batch = database.batch();
    let per_batch = BATCH / ROWS.len() as u64;
    for job in 1..=jobs {
        for (part, (keyspace, key, value)) in ROWS.iter().enumerate() {
            let mut name = vec![part as u8; *key];
            let place = name.len().min(16) - 8;
            name[place..place + 8].copy_from_slice(&job.to_be_bytes());
            batch.insert(&keyspaces[*keyspace], name, vec![7; *value]);
        }
        if job % per_batch == 0 {
            std::mem::replace(&mut batch, database.batch()).commit()?;
        }
    }
    batch.commit()?;
    database.persist(PersistMode::SyncData)?;
    Ok(begun.elapsed())
}
