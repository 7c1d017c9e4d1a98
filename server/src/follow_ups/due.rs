use std::time::Duration;

use jobtracker_engine::SOON;
use jobtracker_model::Timestamp;
use jobtracker_store::{FollowUp, IndexId, IndexKey, IndexQuery, PageLimit, Result, Store};

/// Follow-ups that are read at once.
const PAGE: usize = 100;
/// Pages that a reader reads in a round at most: the lease has to be renewed between rounds.
const PAGES: usize = 40;
/// A reader goes on in a round until it has met so many that there was no room for. Where so much
/// is begun that the next round comes soon, these would be read again too often.
const TURNED_AWAY: usize = 1_000;
const TURNED_AWAY_BUSY: usize = 100;
/// Whoever has begun so much in a round is busy.
pub(super) const BUSY: usize = 100;
/// What became due so long before the last look is read again as new: its commit may have ended
/// after that look.
const NEW_FOR: Duration = Duration::from_secs(5);

/// One part of the list of what is due, read by two readers. Each goes on in every round where it
/// was in the one before. One reads from the oldest to the newest and begins again; the other one
/// reads what has just become due, so that it does not wait behind a receiver that is gone and
/// everything that is due there.
pub(super) struct DueList {
    part: u32,
    all: Reader,
    new: Reader,
    /// When the reader of what is new began.
    new_since: Timestamp,
    /// How much there was from the oldest to the newest, the last time.
    length: usize,
}

/// Where a reader is.
struct Reader {
    from: Timestamp,
    after: Option<IndexKey>,
    /// What it has read since it began.
    read: usize,
    /// Whether there was no room for some of that.
    has_left: bool,
}

/// What is done with something that is due.
pub(super) trait Begin {
    /// Begins it, if that has not happened and there is room for it.
    fn begin(&mut self, key: IndexKey, row: FollowUp) -> Begun;

    /// A page has been read: what was begun of it goes on.
    fn go_on(&mut self) -> impl Future<Output = ()> + Send;
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// How much was begun.
    pub begun: usize,
    /// When something becomes due, as far as [`SOON`] from now; now, when something that is due
    /// was not begun.
    pub next: Option<Timestamp>,
}

/// Whether something was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Yes,
    /// It is being done.
    Already,
    /// Others have to be done first.
    NoRoom,
}

impl DueList {
    pub fn new(part: u32) -> Self {
        let (all, new) = (Reader::from(Timestamp::MIN), Reader::from(Timestamp::MIN));
        Self { part, all, new, new_since: Timestamp::MIN, length: 0 }
    }

    pub fn part(&self) -> u32 {
        self.part
    }

    /// About how much is due and not done.
    pub fn length(&self) -> usize {
        self.length.max(self.all.read)
    }

    /// Begins what is due now.
    pub async fn round(
        &mut self,
        store: &dyn Store,
        now: Timestamp,
        work: &mut (impl Begin + Send),
    ) -> Result<Round> {
        let (part, begins) = (self.part, self.all.after.is_none());
        let mut round = self.all.read(store, part, now, work).await?;
        let is_whole = self.all.after.is_none();
        if is_whole {
            self.length = std::mem::take(&mut self.all.read);
        }
        if self.new.after.is_none() {
            self.new_since = now;
        }
        if !(begins && is_whole) {
            let new = self.new.read(store, part, now, work).await?;
            round.begun += new.begun;
            round.next = round.next.into_iter().chain(new.next).min();
        }
        if self.new.after.is_none() {
            // The clock may have been put back.
            self.new = Reader::from(self.new_since.min(now).before(NEW_FOR));
        }
        Ok(round)
    }
}

impl Reader {
    fn from(from: Timestamp) -> Self {
        Self { from, after: None, read: 0, has_left: false }
    }

    /// Reads on, as far as there is room for what is read.
    async fn read(
        &mut self,
        store: &dyn Store,
        part: u32,
        now: Timestamp,
        work: &mut (impl Begin + Send),
    ) -> Result<Round> {
        let (mut begun, mut turned_away) = (0, 0);
        let (until, mut later) = (now.after(SOON), None);
        for _ in 0..PAGES {
            if turned_away >= if begun < BUSY { TURNED_AWAY } else { TURNED_AWAY_BUSY } {
                break;
            }
            let (index, from, after) = (IndexId::Due, self.from, self.after);
            let limit = PageLimit::items(PAGE);
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
        // At the end, what is left is read again from the beginning.
        self.has_left &= self.after.is_some();
        Ok(Round { begun, next: if is_left { Some(now) } else { later } })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use jobtracker_model::{CheckKind, JobId, NewCheck, StateSet};
    use jobtracker_store::{CheckRow, FollowUpKey, Row, TreeCommit, memory::MemoryStore};

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    /// Takes what is due from a moment on; of what was due before, nothing.
    struct Taken {
        from: Timestamp,
        all: BTreeSet<IndexKey>,
    }

    impl Begin for Taken {
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

    /// A store in which checks of one job are due at these moments.
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
        let (store, mut list) = (MemoryStore::new(), DueList::new(0));
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

    #[tokio::test]
    async fn what_there_was_no_room_for_is_read_again_soon() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(0));
        let (old, now) = (TURNED_AWAY as u32, at(200_000));
        let times = (0..2 * old).map(|number| (number, if number < old { 1 } else { 100_000 }));
        due(&store, 0, times).await;
        let mut taken = taking(at(100_000));
        let round = list.round(&store, now, &mut taken).await.unwrap();
        assert_eq!(round, Round { begun: 0, next: Some(now) });
        let round = list.round(&store, now, &mut taken).await.unwrap();
        assert!(round.begun > 0, "{round:?}");
        assert_eq!(round.next, Some(now), "what was turned away before");
    }

    /// So that a reader who has nothing to do need not look again before there is.
    #[tokio::test]
    async fn a_round_tells_when_something_becomes_due() {
        let (store, mut list) = (MemoryStore::new(), DueList::new(0));
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
            let (store, mut list) = (MemoryStore::new(), DueList::new(0));
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
