//! Gives the space of removed rows back to the disk.
//!
//! The engine merges tables as rows are written. A removal writes few bytes, so that the marks of
//! removed rows would stay above these rows until as much again has been written. When many rows
//! have been removed, a thread merges the marks into the rows, two levels of tables at a time. It
//! merges for a part of the time and pauses for the rest, so that commits have the disk and the
//! processor.

use std::{
    any::Any,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fjall::{AbstractTree, Keyspace, compaction::Leveled};
use lsm_tree::compaction::PullDown;

use super::{
    FjallOptions, failure, pacing,
    tables::{TABLE, Tables},
};

/// Fewer removed rows than this are left to the merges that the engine does.
const FEWEST_ROWS: u64 = 20_000;
/// One removed row in this many of all is worth a merge.
const SHARE: u64 = 10;
/// While trees are being removed, merges wait until one row in this many has been removed.
const SHARE_MEANWHILE: u64 = 2;
/// One mark in this many rows is left over.
const SHARE_LEFT: u64 = 50;
/// Two levels up to this size are merged at once: it takes seconds, for which closing waits. Of
/// larger ones the engine chooses a part, of at most [`LARGEST_PART`].
const LARGEST_WHOLE: u64 = 16 * TABLE;
const LARGEST_PART: u64 = 64 * TABLE;
/// The level that has nothing below it, where marks end.
const LAST_LEVEL: u8 = 6;
/// Merges of one keyspace in a row, with those that were tried in vain.
const MERGES: usize = 1_000;
/// How long it waits when the engine itself merges the same tables.
const BUSY: Duration = Duration::from_millis(100);
/// How often the thread looks for what it waits for, and how often in all.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSES: usize = 500;
/// How often the writer counts rows to find out whether merges are due.
const COUNT: Duration = Duration::from_secs(1);
/// The engine finds out which rows no reader needs once in this many snapshots.
const SNAPSHOTS: usize = 10_000;

/// The writer's end: counts removed rows, and asks for merges.
pub struct Reclaim {
    /// Rows that were removed since it last asked.
    removed: u64,
    /// Rows that were removed since it last asked when no tree was being removed.
    removed_in_all: u64,
    counted: Option<Instant>,
    ask: Sender<()>,
    shared: Arc<Shared>,
}

/// What the two threads tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// The last snapshot of the present keeps merged tables.
    present_is_old: AtomicBool,
    is_closing: Arc<AtomicBool>,
}

impl Reclaim {
    pub fn start(
        tables: &Arc<Tables>,
        options: &FjallOptions,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (ask, asked) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let merger = Merger {
            tables: Arc::clone(tables),
            options: options.clone(),
            asked,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("store-merge".into());
        let handle = thread.spawn(move || merger.run())?;
        // Only deletions leave marks in these two, which the last process may not have merged.
        let removed = marks(&tables.jobs) + marks(&tables.origins);
        Ok((Self { removed, removed_in_all: removed, counted: None, ask, shared }, handle))
    }

    pub fn removed(&mut self, rows: usize) {
        self.removed += rows as u64;
        self.removed_in_all += rows as u64;
    }

    /// Whether enough has been removed for merges.
    pub fn is_due(&mut self, tables: &Tables, goes_on: bool) -> bool {
        let (removed, share) = match goes_on {
            true => (self.removed, SHARE_MEANWHILE),
            false => (self.removed_in_all, SHARE),
        };
        if removed < FEWEST_ROWS || self.counted.is_some_and(|counted| counted.elapsed() < COUNT) {
            return false;
        }
        self.counted = Some(Instant::now());
        let rows: u64 = tables.all().into_iter().map(rows).sum();
        removed >= rows / share
    }

    /// Asks for merges, once the write buffers have been sealed.
    pub fn ask(&mut self, goes_on: bool) {
        self.removed = 0;
        if !goes_on {
            self.removed_in_all = 0;
        }
        // Without the thread the engine's own merges do it, later.
        self.ask.send(()).ok();
    }

    /// Whether a newer snapshot of the present is wanted, since the last one keeps merged tables.
    pub fn wants_snapshot(&self) -> bool {
        self.shared.present_is_old.load(SeqCst)
    }

    pub fn has_snapshot(&self) {
        self.shared.present_is_old.store(false, SeqCst);
    }
}

impl Drop for Reclaim {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, SeqCst);
    }
}

/// Merges, on a thread of its own.
struct Merger {
    tables: Arc<Tables>,
    options: FjallOptions,
    asked: Receiver<()>,
    shared: Arc<Shared>,
}

/// A list of tables. Their files go with the last list that has them, which is not to happen
/// under a lock of the engine.
type Held = Vec<Box<dyn Any>>;

impl Merger {
    fn run(self) {
        pacing::pace_this_thread(Arc::clone(&self.shared.is_closing));
        while self.asked.recv().is_ok() {
            // One answer is enough for all that have asked.
            while self.asked.try_recv().is_ok() {}
            let mut held = Held::new();
            for keyspace in self.tables.all() {
                if self.merge_all(keyspace, &mut held).is_break() {
                    return;
                }
            }
            if !held.is_empty() && self.let_go().is_break() {
                return;
            }
        }
    }

    /// Merges until few marks are left.
    fn merge_all(&self, keyspace: &Keyspace, held: &mut Held) -> ControlFlow<()> {
        self.wait_until(|| keyspace.sealed_memtable_count() == 0)?;
        let mut last_is_merged = false;
        for _ in 0..MERGES {
            if marks(keyspace) <= rows(keyspace) / SHARE_LEFT {
                break;
            }
            let Some((from, to, bytes)) = next_levels(keyspace) else { break };
            if from == LAST_LEVEL && std::mem::replace(&mut last_is_merged, true) {
                break;
            }
            held.push(Box::new(keyspace.tree.current_version()));
            match self.merge(keyspace, (from, to), bytes) {
                Some(true) => self.pause(PAUSE)?,
                Some(false) => {
                    held.pop();
                    last_is_merged = false;
                    self.pause(BUSY)?;
                }
                None => break,
            }
        }
        ControlFlow::Continue(())
    }

    /// Merges two levels, or a part of them; false when the engine merges tables of them just now,
    /// `None` when they cannot be merged.
    fn merge(&self, keyspace: &Keyspace, (from, to): (u8, u8), bytes: u64) -> Option<bool> {
        let is_small = bytes <= LARGEST_WHOLE;
        // The new tables are written before the old ones go.
        let needed = if is_small { bytes } else { LARGEST_PART };
        if !self.has_space(needed) || (!is_small && from == LAST_LEVEL) {
            return None;
        }
        let tree = &keyspace.tree;
        let before = tree.current_version().id();
        let needless = self.tables.database.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
        let merge = || {
            if is_small {
                return tree.compact(Arc::new(PullDown(from, to)), needless);
            }
            // Every level has too many tables by this, except for the last.
            let all = Leveled::default().with_table_target_size(TABLE).with_l0_threshold(0);
            tree.compact(Arc::new(all.with_level_ratio_policy(vec![0.0])), needless)
        };
        match failure::caught("a merge", merge) {
            Ok(Ok(())) => Some(tree.current_version().id() != before),
            Ok(Err(error)) => {
                tracing::warn!(%error, "tables cannot be merged");
                None
            }
            Err(error) => {
                tracing::error!(%error, "a merge of tables has failed");
                None
            }
        }
    }

    fn has_space(&self, bytes: u64) -> bool {
        let FjallOptions { directory, free_space, min_free_bytes, .. } = &self.options;
        let buffered = self.tables.database.write_buffer_size();
        let kept = min_free_bytes + 4 * TABLE + 2 * buffered;
        free_space(directory).is_ok_and(|free| free >= kept + bytes)
    }

    /// Lets the engine forget the lists of tables before the merges, as soon as no reader has an
    /// older snapshot. What readers still need goes with a later write buffer.
    fn let_go(&self) -> ControlFlow<()> {
        self.shared.present_is_old.store(true, SeqCst);
        self.wait_until(|| !self.shared.present_is_old.load(SeqCst))?;
        let database = &self.tables.database;
        (0..SNAPSHOTS).for_each(|_| drop(database.snapshot()));
        let needless = database.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
        for keyspace in self.tables.all() {
            let forget = || {
                let mut versions = keyspace.tree.get_version_history_lock();
                versions.maintenance(keyspace.path(), needless)
            };
            if let Ok(Err(error)) = failure::caught("forgetting old tables", forget) {
                tracing::warn!(%error, "old lists of tables cannot be removed");
            }
        }
        ControlFlow::Continue(())
    }

    /// Waits, for a bounded time; breaks off when the store is to be closed.
    fn wait_until(&self, is_done: impl Fn() -> bool) -> ControlFlow<()> {
        for _ in 0..PAUSES {
            if is_done() {
                break;
            }
            self.pause(PAUSE)?;
        }
        ControlFlow::Continue(())
    }

    fn pause(&self, time: Duration) -> ControlFlow<()> {
        let end = Instant::now() + time;
        loop {
            match self.asked.recv_timeout(end.saturating_duration_since(Instant::now())) {
                // These merges are for it too, or the next removal asks again.
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return ControlFlow::Continue(()),
                Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }
}

/// The uppermost level with tables and the next one below, and their bytes. The last level stands
/// alone when there is no other: a reader may have needed rows when marks came to it.
fn next_levels(keyspace: &Keyspace) -> Option<(u8, u8, u64)> {
    let version = keyspace.tree.current_version();
    let size = |level: u8| match version.level(level.into()) {
        Some(level) => level.size(),
        None => 0,
    };
    let mut filled = (0..=LAST_LEVEL).filter(|level| size(*level) > 0);
    let from = filled.next()?;
    let to = filled.next().unwrap_or(LAST_LEVEL);
    let bytes = size(from) + if to == from { 0 } else { size(to) };
    Some((from, to, bytes))
}

/// Marks of removed rows in tables.
fn marks(keyspace: &Keyspace) -> u64 {
    keyspace.tree.tombstone_count()
}

/// Rows, about, with those that were removed and their marks.
fn rows(keyspace: &Keyspace) -> u64 {
    keyspace.approximate_len() as u64
}
