//! Reads a part of the index of tasks that may be claimed.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use jobtracker_engine::SOON;
use jobtracker_model::Timestamp;
use jobtracker_store::{
    FollowUp, IndexId, IndexKey, IndexQuery, Indexes, Listed, PageLimit, Result, TaskRow,
};

/// Tasks that are read at once.
const PAGE: usize = 100;
/// Pages that are read in a round at most, of what is new and of what is old.
const PAGES: usize = 20;
/// What became ready in this time before the last read is read again in each round, and every
/// second what became so in the longer one: its commit may have ended after that read.
const NEW_FOR: Duration = Duration::from_millis(250);
const NEW_FOR_LONG: Duration = Duration::from_secs(5);
const LONG_EVERY: Duration = Duration::from_secs(1);
/// How long after the last patrol the next one begins.
const PATROL_EVERY: Duration = Duration::from_secs(300);
const PATROL_EVERY_SHARED: Duration = Duration::from_secs(10);
/// After each page a patrol rests for as many times as long as that took.
const PATROL_RESTS: u32 = 19;
/// How often all is read because tasks that are not in memory may have waited too long.
const OVERDUE_EVERY: Duration = Duration::from_secs(1);

/// A part of the index, read at three positions. One is at its end and finds what has just become
/// ready. Another walks from old to new when there is a reason: tasks that had no room have some
/// now, or a worker has come. It passes what no worker here may claim, so that this costs no memory
/// and hides nothing. The third one patrols: it reads all for no reason but that the clocks of
/// servers may differ, or be set, and rests most of the time, since where very many tasks wait the
/// store has better things to do.
pub(super) struct Reader {
    part: u32,
    /// At the end.
    new: Position,
    /// Until when the end was read.
    read_until: Timestamp,
    long_at: Timestamp,
    walk: Option<Walk>,
    /// Whether there is a reason to read all: nothing was read yet, or a worker has come.
    wants_all: bool,
    patrol: Option<Patrol>,
    /// When it goes on, or the next one begins.
    patrol_at: Timestamp,
    passed: Passed,
}

/// What was read and is not in memory.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    /// No worker here may claim some of it.
    unfit: bool,
    /// There were too many kinds of tasks.
    crowded: bool,
    /// The first time at which some of it is to be judged again.
    judge_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    from: Timestamp,
    after: Option<IndexKey>,
}

#[derive(Debug, Clone, Copy)]
struct Walk {
    at: Position,
    until: Timestamp,
    /// Whether it goes on though no queue has room any more.
    is_whole: bool,
}

#[derive(Debug, Clone, Copy)]
struct Patrol {
    at: Position,
    until: Timestamp,
}

/// What became of a task that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in memory now, or over.
    Yes,
    /// It was in memory before, or has been claimed since it was read.
    Known,
    /// There is no room for it now.
    Left,
    /// There are too many kinds of tasks.
    Crowded,
    /// No worker here may claim it.
    Unfit,
}

/// Takes the tasks that are read.
pub(super) trait Take {
    /// A page is read from now on.
    fn read_begins(&mut self);

    /// Takes a task; also says when to judge again whether it is over, if it is not in memory.
    fn take(&mut self, part: u32, key: IndexKey, row: TaskRow) -> (Taken, Option<Timestamp>);

    /// A page has been read.
    fn go_on(&mut self) -> impl Future<Output = ()> + Send;

    /// From where to where a part has to be read again, because tasks that were taken are not done
    /// with.
    fn missed(&mut self, part: u32) -> Option<RangeInclusive<Timestamp>>;

    /// From where on a part is to be read to fill queues that have room.
    fn fill(&mut self, part: u32) -> Option<Timestamp>;

    fn is_filling(&mut self, part: u32) -> bool;

    fn filled(&mut self, part: u32);

    fn has_room_for_kinds(&mut self) -> bool;
}

/// The result of a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// How many tasks were taken.
    pub taken: usize,
    /// When a task becomes ready next, as far as [`SOON`] from now; now, if there is more to read.
    pub next: Option<Timestamp>,
}

impl Reader {
    pub fn new(part: u32, now: Timestamp) -> Self {
        let new = Position { from: now, after: None };
        Self {
            part,
            new,
            read_until: now,
            long_at: now,
            walk: None,
            wants_all: true,
            patrol: None,
            patrol_at: now.after(PATROL_EVERY_SHARED),
            passed: Passed::default(),
        }
    }

    /// Reads on. `has_new`: workers have come since the last round.
    pub async fn round(
        &mut self,
        store: &dyn Indexes,
        (now, is_shared): (Timestamp, bool),
        has_new: bool,
        work: &mut (impl Take + Send),
    ) -> Result<Round> {
        self.wants_all |= has_new && self.passed.unfit;
        let mut round = self.read_new(store, now, work).await?;
        if self.walk.is_none() {
            self.walk = self.begin_walk(now, work);
        }
        if let Some(walk) = self.walk {
            round.taken += self.go_on(walk, store, now, work).await?;
        }
        if self.patrol_at <= now {
            round.taken += self.go_on_patrol(store, (now, is_shared), work).await?;
        }
        let walk = self.walk.map(|_| now);
        let patrol = self.patrol.map(|_| self.patrol_at);
        round.next = round.next.into_iter().chain(walk).chain(patrol).min();
        Ok(round)
    }

    /// Reads what has become ready since the last round.
    async fn read_new(
        &mut self,
        store: &dyn Indexes,
        now: Timestamp,
        work: &mut (impl Take + Send),
    ) -> Result<Round> {
        if self.new.after.is_none() {
            let is_long = self.long_at <= now || self.read_until > now;
            let before = if is_long { NEW_FOR_LONG } else { NEW_FOR };
            self.new.from = self.read_until.min(now).before(before);
            if is_long {
                self.long_at = now.after(LONG_EVERY);
            }
        }
        let mut round = Round::default();
        for _ in 0..PAGES {
            let (at, until) = (self.new, now.after(SOON));
            let Listed { items, next } = self.page(store, at, until, work).await?;
            let later = items.iter().map(|(key, _)| key.time).find(|time| *time > now);
            round.taken += self.take(items, now, work).await;
            self.new.after = next.filter(|_| later.is_none());
            round.next = later;
            if self.new.after.is_none() {
                self.read_until = now;
                return Ok(round);
            }
        }
        Ok(Round { next: Some(now), ..round })
    }

    /// A walk, if there is a reason.
    fn begin_walk(&mut self, now: Timestamp, work: &mut impl Take) -> Option<Walk> {
        let walk = |from, until, is_whole| {
            Some(Walk { at: Position { from, after: None }, until, is_whole })
        };
        let is_overdue = self.passed.judge_at.is_some_and(|time| time <= now);
        let has_room = self.passed.crowded && work.has_room_for_kinds();
        if self.wants_all || is_overdue || has_room {
            self.wants_all = false;
            self.passed = Passed::default();
            work.fill(self.part);
            return walk(Timestamp::MIN, now, true);
        }
        if let Some(missed) = work.missed(self.part) {
            return walk(*missed.start(), *missed.end(), true);
        }
        work.fill(self.part).and_then(|from| walk(from, now, false))
    }

    /// Reads the next page of all.
    async fn go_on_patrol(
        &mut self,
        store: &dyn Indexes,
        (now, is_shared): (Timestamp, bool),
        work: &mut (impl Take + Send),
    ) -> Result<usize> {
        let first = Position { from: Timestamp::MIN, after: None };
        let Patrol { mut at, until } = self.patrol.unwrap_or(Patrol { at: first, until: now });
        let begun = Instant::now();
        let Listed { items, next } = self.page(store, at, until, work).await?;
        let taken = self.take(items, now, work).await;
        at.after = next;
        self.patrol = next.map(|_| Patrol { at, until });
        let rest = match (next, is_shared) {
            (Some(_), _) => begun.elapsed() * PATROL_RESTS,
            (None, true) => PATROL_EVERY_SHARED,
            (None, false) => PATROL_EVERY,
        };
        self.patrol_at = now.after(rest);
        Ok(taken)
    }

    async fn go_on(
        &mut self,
        mut walk: Walk,
        store: &dyn Indexes,
        now: Timestamp,
        work: &mut (impl Take + Send),
    ) -> Result<usize> {
        let mut taken = 0;
        for _ in 0..PAGES {
            if !(walk.is_whole || work.is_filling(self.part)) {
                self.walk = None;
                return Ok(taken);
            }
            let Listed { items, next } = self.page(store, walk.at, walk.until, work).await?;
            taken += self.take(items, now, work).await;
            walk.at.after = next;
            self.walk = next.map(|_| walk);
            if next.is_none() {
                work.filled(self.part);
                return Ok(taken);
            }
        }
        Ok(taken)
    }

    async fn page(
        &self,
        store: &dyn Indexes,
        Position { from, after }: Position,
        until: Timestamp,
        work: &mut impl Take,
    ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
        work.read_begins();
        let (index, part, limit) = (IndexId::Ready, self.part, PageLimit::items(PAGE));
        store.list_index(IndexQuery { index, part, from, until, after, limit }).await
    }

    async fn take(
        &mut self,
        items: Vec<(IndexKey, FollowUp)>,
        now: Timestamp,
        work: &mut (impl Take + Send),
    ) -> usize {
        let mut begun = 0;
        for (key, row) in items {
            let FollowUp::Task(row) = row else { continue };
            if key.time > now {
                break;
            }
            let (taken, judge_at) = work.take(self.part, key, *row);
            match taken {
                Taken::Yes => begun += 1,
                Taken::Known | Taken::Left => {}
                Taken::Crowded => self.passed.crowded = true,
                Taken::Unfit => self.passed.unfit = true,
            }
            let judge_at = judge_at.map(|time| time.max(now.after(OVERDUE_EVERY)));
            self.passed.judge_at = self.passed.judge_at.into_iter().chain(judge_at).min();
        }
        work.go_on().await;
        begun
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use jobtracker_engine::{Engine, Options};
    use jobtracker_model::{CheckedJob, JobId, NewJob, NewTask};
    use jobtracker_store::{Store, memory::MemoryStore};

    use super::*;
    use crate::clock;

    const TASKS: usize = 15 * PAGE;

    /// Counts the pages that are read.
    struct Counted {
        store: Arc<dyn Store>,
        pages: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Indexes for Counted {
        async fn list_index(
            &self,
            query: IndexQuery,
        ) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
            self.pages.fetch_add(1, Ordering::SeqCst);
            self.store.list_index(query).await
        }
    }

    /// Has no room, and notes which tasks it was shown.
    #[derive(Default)]
    struct Full(HashSet<JobId>);

    impl Take for Full {
        fn read_begins(&mut self) {}

        fn take(&mut self, _: u32, key: IndexKey, _: TaskRow) -> (Taken, Option<Timestamp>) {
            self.0.insert(key.id);
            (Taken::Left, None)
        }

        async fn go_on(&mut self) {}

        fn missed(&mut self, _: u32) -> Option<RangeInclusive<Timestamp>> {
            None
        }

        fn fill(&mut self, _: u32) -> Option<Timestamp> {
            None
        }

        fn is_filling(&mut self, _: u32) -> bool {
            false
        }

        fn filled(&mut self, _: u32) {}

        fn has_room_for_kinds(&mut self) -> bool {
            true
        }
    }

    /// On a cluster each of them is a read of its own: reading all of a long queue every ten
    /// seconds left the database no time for claims.
    #[tokio::test]
    async fn a_long_queue_is_read_again_page_by_page() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Engine::start(Arc::clone(&store), Options::new(clock::now));
        let root = engine.create(NewJob::new("root")).await.unwrap().id;
        let job = |_| NewJob::new("work").task(NewTask::new("a/b")).try_into().unwrap();
        let jobs: Vec<CheckedJob> = (0..TASKS).map(job).collect();
        engine.create_children(root, jobs).await.unwrap();
        let counted = Counted { store, pages: AtomicUsize::new(0) };
        let (begun, mut all) = (clock::now(), Full::default());
        let mut reader = Reader::new(0, begun);
        let after = |seconds| begun.after(Duration::from_secs(seconds));
        for seconds in [0, 7] {
            reader.round(&counted, (after(seconds), true), false, &mut all).await.unwrap();
        }
        assert_eq!(all.0.len(), TASKS, "at first all is read at once");
        let (mut again, mut rounds) = (Full::default(), 0);
        while again.0.len() < TASKS {
            rounds += 1;
            counted.pages.store(0, Ordering::SeqCst);
            let now = after(14 + 60 * rounds);
            reader.round(&counted, (now, true), false, &mut again).await.unwrap();
            // One of those at the end.
            assert!(counted.pages.load(Ordering::SeqCst) <= 2, "round {rounds}");
        }
        assert_eq!(rounds, 15);
        engine.close().await;
    }
}
