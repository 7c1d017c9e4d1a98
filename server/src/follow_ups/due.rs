use std::time::Duration;

use jobtracker_engine::SOON;
use jobtracker_model::Timestamp;
use jobtracker_store::{FollowUp, IndexId, IndexKey, IndexQuery, Indexes, PageLimit, Result};

/// Follow-ups that are read at once.
const PAGE: usize = 100;
/// Pages that a reader reads in a round at most: between rounds the lease has to be renewed.
const PAGES: usize = 40;
/// A reader stops in a round after this many follow-ups for which there was no room. When many are
/// begun and the next round comes soon, these would be read again too often.
const TURNED_AWAY: usize = 1_000;
const TURNED_AWAY_BUSY: usize = 100;
/// A server that has begun this many in a round is busy.
pub(super) const BUSY: usize = 100;
/// Entries that became due in this time before the last read are read again as new: their commits
/// may have ended after that read.
const NEW_FOR: Duration = Duration::from_secs(5);

/// One part of an index of what is due, read by two readers. Each continues in every round where
/// it stopped in the round before. One reads from the oldest to the newest and begins again; the
/// other reads what has just become due, so that it does not wait behind a dead receiver and all
/// that is due there.
pub(crate) struct DueList {
    index: IndexId,
    part: u32,
    all: Reader,
    new: Reader,
    /// The due time at which the reader of new entries began.
    new_since: Timestamp,
    /// How many entries there were from the oldest to the newest, on the last pass.
    length: usize,
}

/// The position of a reader.
struct Reader {
    from: Timestamp,
    after: Option<IndexKey>,
    /// How many entries it has read since it began.
    read: usize,
    /// Whether there was no room for some of these entries.
    has_left: bool,
}

/// Begins the work on due follow-ups.
pub(crate) trait Begin {
    /// A page is read from now on.
    fn read_begins(&mut self);

    /// Begins a follow-up, unless it is in progress or there is no room.
    fn begin(&mut self, key: IndexKey, row: FollowUp) -> Begun;

    /// A page has been read: starts what was begun of it.
    fn go_on(&mut self) -> impl Future<Output = ()> + Send;
}

/// The result of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    /// How many follow-ups were begun.
    pub begun: usize,
    /// When the next follow-up becomes due, as far as [`SOON`] from now; now, if one that is due
    /// was not begun.
    pub next: Option<Timestamp>,
}

/// Whether a follow-up was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    /// It is in progress.
    Already,
    /// Others have to end first.
    NoRoom,
}

impl DueList {
    pub fn new(index: IndexId, part: u32) -> Self {
        let (all, new) = (Reader::from(Timestamp::MIN), Reader::from(Timestamp::MIN));
        Self { index, part, all, new, new_since: Timestamp::MIN, length: 0 }
    }

    pub fn part(&self) -> u32 {
        self.part
    }

    /// About how many entries are due and not done.
    pub fn length(&self) -> usize {
        self.length.max(self.all.read)
    }

    /// Begins the follow-ups that are due now.
    pub async fn round(
        &mut self,
        store: &dyn Indexes,
        now: Timestamp,
        work: &mut (impl Begin + Send),
    ) -> Result<Round> {
        let (part, began) = ((self.index, self.part), self.all.after);
        let mut round = self.all.read(store, part, now, work).await?;
        let is_whole = self.all.after.is_none();
        if is_whole {
            self.length = std::mem::take(&mut self.all.read);
        }
        if self.new.after.is_none() {
            self.new_since = now;
        }
        if !(began.is_none() && is_whole) {
            self.new.pass_by(began, self.all.after);
            let new = self.new.read(store, part, now, work).await?;
            round.begun += new.begun;
            round.next = round.next.into_iter().chain(new.next).min();
        }
        if self.new.after.is_none() {
            // The clock may have been set back.
            self.new = Reader::from(self.new_since.min(now).before(NEW_FOR));
        }
        Ok(round)
    }
}

impl Reader {
    fn from(from: Timestamp) -> Self {
        Self { from, after: None, read: 0, has_left: false }
    }

    /// Another reader has just read from one position to another: if this one is between them, it
    /// need not read the same again.
    fn pass_by(&mut self, from: Option<IndexKey>, to: Option<IndexKey>) {
        let is_behind = |from: IndexKey| match self.after {
            Some(after) => from <= after,
            None => from.time < self.from,
        };
        if from.is_none_or(is_behind) && to.is_some_and(|to| to.time >= self.from) {
            self.after = self.after.max(to);
        }
    }

    /// Reads on, while there is room for what is read.
    async fn read(
        &mut self,
        store: &dyn Indexes,
        (index, part): (IndexId, u32),
        now: Timestamp,
        work: &mut (impl Begin + Send),
    ) -> Result<Round> {
        let (mut begun, mut turned_away) = (0, 0);
        let (until, mut later) = (now.after(SOON), None);
        for _ in 0..PAGES {
            if turned_away >= if begun < BUSY { TURNED_AWAY } else { TURNED_AWAY_BUSY } {
                break;
            }
            let (from, after) = (self.from, self.after);
            let limit = PageLimit::items(PAGE);
            work.read_begins();
            let query = IndexQuery { index, part, from, until, after, limit };
            let page = store.list_index(query).await?;
            for (key, row) in page.items {
                if key.time > now {
                    later = Some(key.time);
                    break;
                }
                self.read += 1;
                match work.begin(key, row) {
                    Begun::Yes => begun += 1,
                    Begun::Already => {}
                    Begun::NoRoom => turned_away += 1,
                }
            }
            work.go_on().await;
            self.after = page.next.filter(|_| later.is_none());
            if self.after.is_none() {
                break;
            }
        }
        self.has_left |= turned_away > 0;
        let is_left = self.has_left || self.after.is_some();
        // At the end of a pass, the entries that are left are read again from the beginning.
        self.has_left &= self.after.is_some();
        Ok(Round { begun, next: if is_left { Some(now) } else { later } })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use jobtracker_model::{CheckKind, JobId, NewCheck, StateSet};
    use jobtracker_store::{CheckRow, FollowUpKey, Row, TreeCommit, Trees, memory::MemoryStore};

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    /// Takes what is due from a time on, and nothing that was due before.
    struct Taken {
        from: Timestamp,
        all: BTreeSet<IndexKey>,
    }

    impl Begin for Taken {
        fn read_begins(&mut self) {}

        fn begin(&mut self, key: IndexKey, _: FollowUp) -> Begun {
            match key.time >= self.from {
                true if self.all.insert(key) => Begun::Yes,
                true => Begun::Already,
                false => Begun::NoRoom,
            }
        }

        async fn go_on(&mut self) {}
    }

    fn taking(from: Timestamp) -> Taken {
        Taken { from, all: BTreeSet::new() }
    }

    /// A store in which checks of one job are due at these times.
    async fn due(store: &MemoryStore, base: u64, times: impl Iterator<Item = (u32, i64)>) {
        let root = JobId::MIN;
        let rows = times.map(|(number, time)| {
            let kind = CheckKind::State { at: at(time), states: StateSet::FINISHED };
            let row = CheckRow::new(Arc::new(NewCheck::new(kind)), Timestamp::MIN);
            let (key, row) = (FollowUpKey::Check(number), FollowUp::Check(row));
            Row::FollowUp { id: root, key, before: None, row }
        });
        let commit = TreeCommit { root, expected: base, rows: rows.collect(), publishes: None };
        store.commit(vec![commit]).await.remove(0).unwrap();
    }

    const OLD: u32 = 6_000;

    #[tokio::test]
    async fn what_is_new_does_not_wait_behind_a_long_list() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(IndexId::Due, 0));
        due(&store, 0, (0..OLD).map(|number| (number, 1_000))).await;
        let mut taken = taking(at(100_000));
        let rounds = i64::from(OLD) / TURNED_AWAY as i64 + 2;
        for round in 0..rounds {
            let round = list.round(&store, at(90_000 + round), &mut taken).await.unwrap();
            assert_eq!(round.begun, 0);
        }
        assert!(list.length() >= OLD as usize, "{}", list.length());
        due(&store, 1, [(OLD, 100_050)].into_iter()).await;
        assert_eq!(list.round(&store, at(100_060), &mut taken).await.unwrap().begun, 1);
        taken.from = Timestamp::MIN;
        let Round { begun, .. } = list.round(&store, at(100_070), &mut taken).await.unwrap();
        list.round(&store, at(100_080), &mut taken).await.unwrap();
        assert!(begun > 0 && taken.all.len() == OLD as usize + 1, "{begun}");
    }

    /// Counts what it is offered, and has no room for any of it.
    #[derive(Default)]
    struct Full(Vec<IndexKey>);

    impl Begin for Full {
        fn read_begins(&mut self) {}

        fn begin(&mut self, key: IndexKey, _: FollowUp) -> Begun {
            self.0.push(key);
            Begun::NoRoom
        }

        async fn go_on(&mut self) {}
    }

    #[tokio::test]
    async fn one_reader_does_not_read_what_the_other_has_just_read() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(IndexId::Due, 0));
        due(&store, 0, (0..OLD).map(|number| (number, 1_000))).await;
        for round in 1..OLD as usize / TURNED_AWAY {
            let mut offered = Full::default();
            list.round(&store, at(90_000 + round as i64), &mut offered).await.unwrap();
            let read = offered.0.len();
            offered.0.sort_unstable();
            offered.0.dedup();
            assert_eq!(offered.0.len(), read, "in round {round}");
        }
    }

    #[tokio::test]
    async fn what_there_was_no_room_for_is_read_again_soon() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(IndexId::Due, 0));
        let (old, now) = (TURNED_AWAY as u32, at(200_000));
        let times = (0..2 * old).map(|number| (number, if number < old { 1 } else { 100_000 }));
        due(&store, 0, times).await;
        let mut taken = taking(at(100_000));
        // The second reader goes on where the first one was turned away.
        let round = list.round(&store, now, &mut taken).await.unwrap();
        assert_eq!(round, Round { begun: TURNED_AWAY, next: Some(now) });
        let round = list.round(&store, now, &mut taken).await.unwrap();
        assert_eq!(round, Round { begun: 0, next: Some(now) }, "what was turned away before");
    }

    /// So that an idle reader need not read again before there is an entry.
    #[tokio::test]
    async fn a_round_tells_when_something_becomes_due() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(IndexId::Due, 0));
        let mut taken = taking(Timestamp::MIN);
        let mut at_time = async |store: &MemoryStore, now, from| {
            taken.from = from;
            list.round(store, at(now), &mut taken).await.unwrap()
        };
        let round = at_time(&store, 10_000, Timestamp::MIN).await;
        assert_eq!(round, Round { begun: 0, next: None });
        due(&store, 0, [(0, 10_000), (1, 11_500), (2, 60_000)].into_iter()).await;
        let round = at_time(&store, 10_000, Timestamp::MIN).await;
        assert_eq!(round, Round { begun: 1, next: Some(at(11_500)) });
        let round = at_time(&store, 11_500, at(11_501)).await;
        assert_eq!(round, Round { begun: 0, next: Some(at(11_500)) }, "there was no room for it");
        let round = at_time(&store, 11_600, Timestamp::MIN).await;
        assert_eq!(round, Round { begun: 1, next: None }, "a minute later is not soon");
    }

    #[tokio::test]
    async fn a_clock_that_jumps_hides_nothing_for_long() {
        for old in [3, OLD] {
            let (store, mut list) = (MemoryStore::new(), DueList::new(IndexId::Due, 0));
            due(&store, 0, (0..old).map(|number| (number, 1_000))).await;
            let mut taken = taking(at(5_000));
            // An hour ahead for some rounds, and back.
            let ahead = (0..20).map(|round| 3_610_000 + round);
            for now in [10_000].into_iter().chain(ahead).chain([10_100]) {
                list.round(&store, at(now), &mut taken).await.unwrap();
            }
            due(&store, 1, [(old, 10_150), (old + 1, 20_000)].into_iter()).await;
            for _ in 0..2 {
                list.round(&store, at(10_200), &mut taken).await.unwrap();
            }
            let found: Vec<_> = taken.all.iter().map(|key| key.time).collect();
            assert_eq!(found, [at(10_150)], "and what is due later is not begun");
        }
    }
}
