use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::{Duration, Instant},
};

use fjall::AbstractTree;
use jobtracker_model::JobId;

use super::{
    FjallOptions,
    chores::{
        Chore, Chores, Desk, STEP_ROWS_ALONE, STEP_ROWS_AMONG_COMMITS, STEP_ROWS_WITH_COMMITS, Step,
    },
    clean::Clean,
    delete::Delete,
    failure,
    gauges::Meters,
    group::Group,
    hot_cache::HotCache,
    intake::Intake,
    lasting::Lasting,
    reclaim::Reclaim,
    retired::Retired,
    space::SpaceGuard,
    stages::Stages,
    tables::Tables,
    work::{Work, gather},
    writes::{STEP_ROWS, Writes},
};
use crate::{Error, Result};

/// The engine stops writers for a tenth of a second at four sealed buffers, and at thirty small
/// tables, and does not notice then that its own threads have died. So writing pauses before that.
const SEALED_BUFFERS: usize = 3;
const SMALL_TABLES: usize = 28;
/// Chores stop sooner, so that commits never have to.
const CHORE_SEALED_BUFFERS: usize = 2;
const CHORE_SMALL_TABLES: usize = 12;
const PAUSE: Duration = Duration::from_millis(1);
/// How often the writer checks, while there is nothing to write, whether the engine still could.
const LOOK: Duration = Duration::from_secs(1);
/// While commits keep coming, a chore gets a step in this time.
const CHORE_EVERY: Duration = Duration::from_millis(20);
/// What makes room goes with the commits as long as the next one comes within this time.
const NEXT_COMMIT: Duration = Duration::from_millis(5);
/// After a commit another one is expected for this time: what makes room takes small steps then,
/// and pauses after each of them this many times as long as it took.
const MORE_COMMITS: Duration = Duration::from_millis(100);
const PAUSES: u32 = 4;
/// How long a chore waits that lacks space on the disk.
const NO_SPACE: Duration = Duration::from_millis(200);
/// How often numbers that cost a lock are taken.
const METER: Duration = Duration::from_secs(1);

/// A chore after a step, with how that went and the number of its rows.
type Stepped = (Box<dyn Chore>, Result<(Step, usize)>);

/// Why the writer has ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// All accepted work is done, and no more can come.
    Closed,
    /// Writing has failed: it is not known what is on the disk, and the engine takes no more until
    /// it is opened again.
    Failed,
}

/// Writes, on the one thread that does. It takes all the work that waits, and makes it one durable
/// batch. In between it does a step of a chore.
pub struct Writer {
    tables: Arc<Tables>,
    cache: Arc<HotCache>,
    stages: Arc<Stages>,
    chores: Chores,
    /// When the last step was, and until when there is to be none.
    stepped: Instant,
    /// When the last group of commits was written.
    served: Option<Instant>,
    /// Until when chores that make room let commits go first.
    resting: Option<Instant>,
    postponed: Option<Instant>,
    meters: Arc<Meters>,
    space: SpaceGuard,
    retired: Retired,
    reclaim: Reclaim,
    write_buffer_bytes: u64,
    metered: Option<Instant>,
    failed: bool,
}

impl Writer {
    pub fn new(
        tables: &Arc<Tables>,
        lasting: &Lasting,
        (retired, reclaim): (Retired, Reclaim),
        options: &FjallOptions,
    ) -> Self {
        Self {
            tables: Arc::clone(tables),
            cache: Arc::clone(&lasting.cache),
            stages: Arc::clone(&lasting.stages),
            chores: lasting.cache.now().gone.iter().map(removal).collect(),
            stepped: Instant::now(),
            served: None,
            resting: None,
            postponed: None,
            meters: Arc::clone(&lasting.meters),
            space: SpaceGuard::new(options),
            retired,
            reclaim,
            write_buffer_bytes: options.write_buffer_bytes,
            metered: None,
            failed: false,
        }
    }

    /// Works until it is told to close and all accepted commits are done, or until writing fails.
    /// Work that it has taken and not begun is in `held` then. Chores are left where they are.
    pub fn run(&mut self, intake: &mut Intake<Work>, held: &mut Option<Work>) -> End {
        loop {
            let discarded = self.stages.take_discarded().into_iter();
            let cleans = discarded.map(|stage| Box::new(Clean::new(&self.stages, stage)) as _);
            self.chores.extend(cleans);
            let next = match held.take() {
                Some(work) => Poll::Ready(Some(work)),
                None => self.next(intake),
            };
            let next = match next {
                Poll::Ready(Some(work)) => Some(work),
                Poll::Ready(None) => return End::Closed,
                Poll::Pending => None,
            };
            self.failed |= !self.tables.is_sound();
            if self.failed {
                *held = next;
                return End::Failed;
            }
            self.guarded(Self::reclaim);
            let Some(first) = next else {
                self.guarded(Self::step);
                continue;
            };
            let group = gather(first, intake, held);
            self.guarded(|writer| writer.serve(group));
            if !self.chores.is_empty() && self.stepped.elapsed() > CHORE_EVERY {
                self.guarded(Self::step);
            }
        }
    }

    /// The next work; waits for it unless there is a chore to do meanwhile.
    fn next(&self, intake: &mut Intake<Work>) -> Poll<Option<Work>> {
        let may_step = || if self.may_step() { Duration::ZERO } else { PAUSE };
        intake.wait(if self.chores.is_empty() { LOOK } else { may_step() })
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(error) = failure::caught("the writer", || work(self)) {
            tracing::error!(%error, "writing has failed");
            self.failed = true;
        }
    }

    fn serve(&mut self, group: Vec<Work>) {
        let ready = self.make_ready();
        let cache = Arc::clone(&self.cache);
        let tables = Arc::clone(&self.tables);
        let snapshot = cache.now();
        let stages = Arc::clone(&self.stages);
        let mut plan = Group::new(&tables, &cache, &stages, &snapshot);
        let desk = Desk { tables: &tables, cache: &cache, snapshot: &snapshot };
        let mut commits = Vec::new();
        let mut reservations = Vec::new();
        let mut documents = Vec::new();
        let mut stepped: Vec<Stepped> = Vec::new();
        let rider = if ready.is_ok() { self.take_rider() } else { None };
        for work in group {
            match work {
                Work::Commit { commits: trees, reply } => {
                    let add = |tree| ready.clone().and_then(|()| plan.add_tree(tree));
                    commits.push((reply, trees.into_iter().map(add).collect::<Vec<_>>()));
                }
                Work::Reserve { count, reply } => reservations.push((reply, count)),
                Work::Document { change, reply } => {
                    let added = ready.clone().and_then(|()| plan.change_document(change));
                    documents.push((reply, added));
                }
                // The caller may have gone.
                Work::Check { reply } => drop(reply.send(ready.clone())),
                Work::Chore(mut chore) if chore.is_short() => {
                    let step =
                        ready.clone().and_then(|()| plan.add_step(&desk, &mut *chore, STEP_ROWS));
                    stepped.push((chore, step));
                }
                Work::Chore(chore) => self.chores.push_back(chore),
                Work::Discarded | Work::Close => {}
            }
        }
        if let Some(mut chore) = rider {
            let step = plan.add_step(&desk, &mut *chore, STEP_ROWS_WITH_COMMITS);
            stepped.push((chore, step));
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
        for (reply, added) in documents {
            reply.send(added.and(written.clone())).ok();
        }
        for (chore, step) in stepped {
            self.go_on((chore, written.clone().and(step)));
        }
        for (reply, first) in reservations {
            reply.send(first.and_then(|first| written.clone().map(|()| first))).ok();
        }
        // On a full disk nothing waits behind what makes room.
        if ready.is_ok() {
            self.served = Some(Instant::now());
        }
        self.flush_full_buffers();
    }

    /// The next chore that makes room, to go with a group of commits. When the last commit is more
    /// than [`NEXT_COMMIT`] ago, it has steps of its own instead.
    fn take_rider(&mut self) -> Option<Box<dyn Chore>> {
        let rides = self.has_commits() && self.can_step();
        let next = self.chores.iter().position(|chore| chore.makes_room()).filter(|_| rides)?;
        self.chores.remove(next)
    }

    /// Puts a chore into the queue again after a step, or ends it.
    fn go_on(&mut self, (chore, step): Stepped) {
        if let Ok((_, rows)) = step
            && chore.makes_room()
        {
            self.reclaim.removed(rows);
        }
        match step {
            Ok((Step::More, _)) => self.chores.push_back(chore),
            Ok((Step::Last, _)) => chore.end(&self.cache, Ok(())),
            Err(error) => chore.end(&self.cache, Err(error)),
        }
    }

    /// Waits for the engine if it is behind, and tells whether it can take a group now.
    fn make_ready(&mut self) -> Result<()> {
        while !self.failed && self.is_behind() {
            self.failed = !self.tables.is_sound();
            std::thread::sleep(PAUSE);
        }
        self.failed |= !self.tables.is_sound();
        if self.failed {
            return Err(Error::Unavailable(failure::OUT_OF_SERVICE.into()));
        }
        let space = self.space.check(self.tables.database.write_buffer_size());
        self.meters.free_bytes.store(self.space.free(), Relaxed);
        space
    }

    fn is_behind(&self) -> bool {
        self.has_behind(SEALED_BUFFERS, SMALL_TABLES)
    }

    /// Whether this many buffers or small tables of a keyspace wait for the engine.
    fn has_behind(&self, buffers: usize, tables: usize) -> bool {
        self.tables.all().into_iter().any(|keyspace| {
            keyspace.sealed_memtable_count() >= buffers || keyspace.tree.l0_run_count() >= tables
        })
    }

    /// Makes the group durable, then visible.
    fn write(&mut self, mut group: Group) -> Result<()> {
        group.finish()?;
        if group.writes.is_empty() {
            return Ok(());
        }
        self.make_durable(&mut group.writes)?;
        self.chores.extend(group.changed.deleted.iter().copied().map(removal));
        self.cache.advance(self.tables.database.snapshot(), group.changed);
        Ok(())
    }

    fn make_durable(&mut self, writes: &mut Writes) -> Result<()> {
        let unknown = |error: String| {
            tracing::error!(error, "a commit failed");
            Error::OutcomeUnknown(error)
        };
        let begun = Instant::now();
        let written = match failure::caught("a commit", || writes.commit()) {
            // A failure between a new journal and its name on the disk comes just before this.
            Ok(Ok(())) if !self.tables.is_sound() => {
                Err(unknown("the engine has failed meanwhile".into()))
            }
            Ok(Ok(())) => Ok(()),
            // The engine says this before it writes anything.
            Ok(Err(fjall::Error::Poisoned)) => {
                Err(Error::Unavailable(failure::OUT_OF_SERVICE.into()))
            }
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(panic) => Err(unknown(panic.to_string())),
        };
        self.failed |= written.is_err();
        self.space.wrote(writes.bytes());
        written?;
        self.meters.wrote(writes.bytes(), begun.elapsed());
        Ok(())
    }

    /// Whether there is a chore and the engine can take a step of it.
    fn may_step(&self) -> bool {
        self.next_chore().is_some() && self.can_step()
    }

    /// Whether the engine can take a step of a chore.
    fn can_step(&self) -> bool {
        let postponed = self.postponed.is_some_and(|until| Instant::now() < until);
        let behind = || self.has_behind(CHORE_SEALED_BUFFERS, CHORE_SMALL_TABLES);
        !postponed && (self.failed || !behind())
    }

    /// The chore whose turn it is.
    fn next_chore(&self) -> Option<usize> {
        let rests = self.has_commits() || self.resting.is_some_and(|until| Instant::now() < until);
        self.chores.iter().position(|chore| !rests || !chore.makes_room())
    }

    /// Whether commits follow each other, so that what makes room goes with them.
    fn has_commits(&self) -> bool {
        self.served.is_some_and(|served| served.elapsed() < NEXT_COMMIT)
    }

    fn is_among_commits(&self) -> bool {
        self.served.is_some_and(|served| served.elapsed() < MORE_COMMITS)
    }

    /// Does a step of the chore whose turn it is, if the engine can take it.
    fn step(&mut self) {
        if !self.may_step() {
            // It may be behind because its threads have died.
            self.failed |= !self.tables.is_sound();
            return;
        }
        let next = self.next_chore().and_then(|next| self.chores.remove(next));
        let Some(mut chore) = next else { return };
        self.stepped = Instant::now();
        let makes_room = chore.makes_room();
        let ready = self.make_ready();
        let buffered = self.tables.database.write_buffer_size();
        let scarce = matches!(ready, Err(Error::Full(_)));
        let reserve = scarce && makes_room && self.space.check_reserve(buffered);
        if scarce && makes_room && !reserve {
            self.postponed = Some(Instant::now() + NO_SPACE);
            self.chores.push_back(chore);
            return;
        }
        let done = if reserve { Ok(()) } else { ready }.and_then(|()| self.advance(&mut *chore));
        self.go_on((chore, done));
        if makes_room && self.is_among_commits() {
            self.resting = Some(Instant::now() + self.stepped.elapsed() * PAUSES);
        }
        self.flush_full_buffers();
    }

    /// Plans a step and makes it durable.
    fn advance(&mut self, chore: &mut dyn Chore) -> Result<(Step, usize)> {
        let (tables, cache) = (Arc::clone(&self.tables), Arc::clone(&self.cache));
        let snapshot = cache.now();
        let rows = match (chore.makes_room(), self.is_among_commits()) {
            (false, _) => STEP_ROWS,
            (true, false) => STEP_ROWS_ALONE,
            (true, true) => STEP_ROWS_AMONG_COMMITS,
        };
        let mut writes = Writes::up_to(rows, &tables);
        let desk = Desk { tables: &tables, cache: &cache, snapshot: &snapshot };
        let (step, rows) = (chore.plan(&desk, &mut writes)?, writes.len());
        if rows > 0 {
            self.make_durable(&mut writes)?;
            cache.refresh(tables.database.snapshot());
        }
        Ok((step, rows))
    }

    /// Has the space of removed rows given back, if that is worth it.
    fn reclaim(&mut self) {
        if self.reclaim.wants_snapshot() {
            self.cache.refresh(self.tables.database.snapshot());
            self.reclaim.has_snapshot();
        }
        let goes_on = self.cache.removals() > 0;
        if self.reclaim.is_due(&self.tables, goes_on) && !self.is_behind() {
            self.flush_buffers(0);
            self.reclaim.ask(goes_on);
        }
    }

    fn flush_full_buffers(&mut self) {
        self.flush_buffers(self.write_buffer_bytes);
    }

    /// Seals the write buffers with more than this many bytes.
    fn flush_buffers(&mut self, bytes: u64) {
        for keyspace in self.tables.all() {
            let buffer = keyspace.tree.active_memtable();
            if buffer.size() > bytes {
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

/// The chore that removes a deleted tree.
fn removal(root: JobId) -> Box<dyn Chore> {
    Box::new(Delete::new(root))
}
