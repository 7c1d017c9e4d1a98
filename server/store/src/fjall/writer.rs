use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use fjall::AbstractTree;
use jobtracker_model::JobId;
use tokio::sync::{mpsc, oneshot};

use super::{
    FjallOptions, failure, front::Front, gauges::Meters, group::Group, retired::Retired,
    space::SpaceGuard, tables::Tables,
};
use crate::{Error, Result, TreeCommit};

/// Rows after which a group takes no more calls.
const GROUP_ROWS: usize = 50_000;
/// The engine stops writers for a tenth of a second at four sealed buffers, and at thirty small
/// tables, and does not notice then that its own threads have died. So writing pauses before that.
const SEALED_BUFFERS: usize = 3;
const SMALL_TABLES: usize = 28;
const PAUSE: Duration = Duration::from_millis(1);
/// How often numbers that cost a lock are taken.
const METER: Duration = Duration::from_secs(1);

/// What the writer is asked for.
pub enum Work {
    Commit { commits: Vec<TreeCommit>, reply: oneshot::Sender<Vec<Result<()>>> },
    Reserve { count: u32, reply: oneshot::Sender<Result<JobId>> },
    Check { reply: oneshot::Sender<Result<()>> },
    Close,
}

/// The one thread that writes. It takes all that waits, and makes it one durable batch.
pub struct Writer {
    tables: Arc<Tables>,
    front: Arc<Front>,
    meters: Arc<Meters>,
    space: SpaceGuard,
    retired: Retired,
    write_buffer_bytes: u64,
    metered: Option<Instant>,
    /// A write has failed: what is on the disk is not known any more.
    failed: bool,
}

impl Writer {
    pub fn new(
        tables: &Arc<Tables>,
        front: &Arc<Front>,
        meters: &Arc<Meters>,
        retired: Retired,
        options: &FjallOptions,
    ) -> Self {
        Self {
            tables: Arc::clone(tables),
            front: Arc::clone(front),
            meters: Arc::clone(meters),
            space: SpaceGuard::new(options),
            retired,
            write_buffer_bytes: options.write_buffer_bytes,
            metered: None,
            failed: false,
        }
    }

    /// Works until it is told to close and everything that was taken is done.
    pub fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut held = None;
        while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
            let group = gather(first, &mut queue, &mut held);
            let done = failure::caught("the writer", || self.serve(group));
            if let Err(error) = done {
                tracing::error!(%error, "the store takes no more commits");
                self.failed = true;
            }
        }
    }

    fn serve(&mut self, group: Vec<Work>) {
        let ready = self.make_ready();
        let front = Arc::clone(&self.front);
        let tables = Arc::clone(&self.tables);
        let moment = front.now();
        let mut plan = Group::new(&tables, &front, &moment);
        let mut commits = Vec::new();
        let mut reservations = Vec::new();
        for work in group {
            match work {
                Work::Commit { commits: trees, reply } => {
                    let add = |tree| ready.clone().and_then(|()| plan.add_tree(tree));
                    commits.push((reply, trees.into_iter().map(add).collect::<Vec<_>>()));
                }
                Work::Reserve { count, reply } => reservations.push((reply, count)),
                // Nobody may be there to hear it.
                Work::Check { reply } => drop(reply.send(ready.clone())),
                Work::Close => {}
            }
        }
        let reserve = |(reply, count)| {
            let first = ready.clone().and_then(|()| plan.reserve(count));
            (reply, first)
        };
        let reservations: Vec<_> = reservations.into_iter().map(reserve).collect();
        let written = self.write(plan);
        for (reply, answers) in commits {
            self.meters.count(&answers, &written);
            let answers = answers.into_iter().map(|answer| answer.and(written.clone())).collect();
            reply.send(answers).ok();
        }
        for (reply, first) in reservations {
            reply.send(first.and_then(|first| written.clone().map(|()| first))).ok();
        }
        self.flush_full_buffers();
    }

    /// Waits for the engine if it is behind, and tells whether it can take a group now.
    fn make_ready(&mut self) -> Result<()> {
        while !self.failed && self.is_behind() {
            self.failed = !self.tables.is_sound();
            std::thread::sleep(PAUSE);
        }
        self.failed |= !self.tables.is_sound();
        if self.failed {
            return Err(Error::Unavailable(failure::RESTART.into()));
        }
        let space = self.space.check(self.tables.database.write_buffer_size());
        self.meters.free_bytes.store(self.space.free(), Relaxed);
        space
    }

    fn is_behind(&self) -> bool {
        self.tables.all().into_iter().any(|keyspace| {
            keyspace.sealed_memtable_count() >= SEALED_BUFFERS
                || keyspace.tree.l0_run_count() >= SMALL_TABLES
        })
    }

    /// Makes the group durable, then visible.
    fn write(&mut self, mut group: Group) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let unknown = |error: String| {
            tracing::error!(error, "a commit failed; the store takes no more commits");
            Error::OutcomeUnknown(format!("{error}; {}", failure::RESTART))
        };
        let begun = Instant::now();
        let written = match failure::caught("a commit", || group.commit()) {
            Ok(Ok(())) => Ok(()),
            // The engine says this before it writes anything.
            Ok(Err(fjall::Error::Poisoned)) => Err(Error::Unavailable(failure::RESTART.into())),
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(panic) => Err(unknown(panic.to_string())),
        };
        self.failed |= written.is_err();
        self.space.wrote(group.bytes());
        written?;
        self.meters.wrote(group.bytes(), begun.elapsed());
        self.front.advance(self.tables.database.snapshot(), group.changed);
        Ok(())
    }

    fn flush_full_buffers(&mut self) {
        for keyspace in self.tables.all() {
            let buffer = keyspace.tree.active_memtable();
            if buffer.size() > self.write_buffer_bytes {
                match keyspace.rotate_memtable() {
                    Ok(true) => self.retired.hold(buffer),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(%error, "a write buffer cannot be written to disk");
                    }
                }
            }
        }
        self.retired.free();
        if self.metered.is_none_or(|metered| metered.elapsed() > METER) {
            self.metered = Some(Instant::now());
            let journals = self.tables.database.journal_disk_space().unwrap_or(0);
            self.meters.journal_bytes.store(journals, Relaxed);
        }
    }
}

/// Takes what waits behind `first`, as far as it fits into one batch. A tree can be in a batch
/// once; a call that has it again is held for the next batch.
fn gather(first: Work, queue: &mut mpsc::Receiver<Work>, held: &mut Option<Work>) -> Vec<Work> {
    let mut roots = HashSet::new();
    let mut rows = 0;
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(work) = next {
        match &work {
            Work::Commit { commits, .. } => {
                if commits.iter().any(|commit| roots.contains(&commit.root)) {
                    *held = Some(work);
                    break;
                }
                roots.extend(commits.iter().map(|commit| commit.root));
                rows += commits.iter().map(|commit| commit.rows.len()).sum::<usize>();
            }
            Work::Close => queue.close(),
            Work::Reserve { .. } | Work::Check { .. } => {}
        }
        group.push(work);
        next = if rows < GROUP_ROWS { queue.try_recv().ok() } else { None };
    }
    group
}
