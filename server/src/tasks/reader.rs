//! Reads a part of the index of tasks that may be claimed.

use std::time::Duration;

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
/// How often all is read, whether or not there is a reason: the clocks of servers may differ, or
/// be set.
const WHOLE_EVERY: Duration = Duration::from_secs(300);
const WHOLE_EVERY_SHARED: Duration = Duration::from_secs(10);
/// How often all is read because tasks that are not in memory may have waited too long.
const OVERDUE_EVERY: Duration = Duration::from_secs(1);

/// A part of the index, read at two positions. One is at its end and finds what has just become
/// ready. The other walks from old to new when there is a reason: tasks that had no room have some
/// now, or a worker has come. It passes what no worker here may claim, so that this costs no memory
/// and hides nothing.
pub(super) struct Reader {
    part: u32,
    /// At the end.
    new: Position,
    /// Until when the end was read.
    read_until: Timestamp,
    long_at: Timestamp,
    walk: Option<Walk>,
    /// When to read all, whether or not there is a reason.
    whole_at: Timestamp,
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

    /// From where on a part has to be read again, because tasks that were taken are not done with.
    fn missed(&mut self, part: u32) -> Option<Timestamp>;

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
            whole_at: now,
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
        if has_new && self.passed.unfit {
            self.whole_at = now;
        }
        let mut round = self.read_new(store, now, work).await?;
        if self.walk.is_none() {
            self.walk = self.begin_walk((now, is_shared), work);
        }
        if let Some(walk) = self.walk {
            round.taken += self.go_on(walk, store, now, work).await?;
        }
        if self.walk.is_some() {
            round.next = Some(now);
        }
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
    fn begin_walk(
        &mut self,
        (now, is_shared): (Timestamp, bool),
        work: &mut impl Take,
    ) -> Option<Walk> {
        let walk = |from, is_whole| {
            Some(Walk { at: Position { from, after: None }, until: now, is_whole })
        };
        let is_overdue = self.passed.judge_at.is_some_and(|time| time <= now);
        let has_room = self.passed.crowded && work.has_room_for_kinds();
        if self.whole_at <= now || is_overdue || has_room {
            self.passed = Passed::default();
            let every = if is_shared { WHOLE_EVERY_SHARED } else { WHOLE_EVERY };
            self.whole_at = now.after(every);
            work.fill(self.part);
            return walk(Timestamp::MIN, true);
        }
        if let Some(from) = work.missed(self.part) {
            return walk(from, true);
        }
        work.fill(self.part).and_then(|from| walk(from, false))
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
