use std::time::Duration;

use jobtracker_model::Timestamp;
use jobtracker_store::{Agenda, AgendaKey, AgendaQuery, FollowUp, PageLimit, Result, Store};

/// Follow-ups that are read at once.
const PAGE: usize = 500;
/// How many of those that have been due for a while are read in one round. Where there are more,
/// what has just become due is read besides, so that it does not wait behind a receiver that is
/// gone and everything that is due there.
const STRETCH: usize = 2_000;
/// What became due so long before the last round is read again as new: its commit may have ended
/// after that round.
const NEW_FOR: Duration = Duration::from_secs(5);

/// One part of the list of what is due. Each round reads a stretch of it and then goes on where the
/// last one ended, and from the beginning after the end.
pub(super) struct DueList {
    part: u32,
    after: Option<AgendaKey>,
    /// What has been read since the beginning.
    read: usize,
    /// How much there was from the beginning to the end, the last time.
    length: usize,
    last_round: Timestamp,
}

/// What is done with something that is due.
pub(super) trait Begin {
    /// Begins it, unless that has happened or there is no room for it. Whether it was begun.
    fn begin(&mut self, key: AgendaKey, row: FollowUp) -> bool;
}

/// Something that is read.
struct Span {
    from: Timestamp,
    until: Timestamp,
    after: Option<AgendaKey>,
    /// No more than about so many.
    at_most: usize,
}

/// What came of reading.
#[derive(Default)]
struct Read {
    seen: usize,
    begun: usize,
    /// Where to go on, when there may be more.
    next: Option<AgendaKey>,
}

impl DueList {
    pub fn new(part: u32) -> Self {
        Self { part, after: None, read: 0, length: 0, last_round: Timestamp::MIN }
    }

    pub fn part(&self) -> u32 {
        self.part
    }

    /// About how much is due and not done.
    pub fn length(&self) -> usize {
        self.length.max(self.read)
    }

    /// Begins what is due now; answers how much that is.
    pub async fn round(
        &mut self,
        store: &dyn Store,
        now: Timestamp,
        work: &mut (impl Begin + Send),
    ) -> Result<usize> {
        let (from, after) = (Timestamp::MIN, self.after);
        let span = Span { from, until: now, after, at_most: STRETCH };
        let old = self.read(store, span, work).await?;
        self.read += old.seen;
        self.after = old.next;
        if old.next.is_none() {
            self.length = std::mem::take(&mut self.read);
        }
        let whole = after.is_none() && old.next.is_none();
        let new = match whole {
            true => Read::default(),
            false => {
                let from = self.last_round.before(NEW_FOR);
                let span = Span { from, until: now, after: None, at_most: usize::MAX };
                self.read(store, span, work).await?
            }
        };
        self.last_round = now;
        Ok(old.begun + new.begun)
    }

    async fn read(
        &self,
        store: &dyn Store,
        Span { from, until, mut after, at_most }: Span,
        work: &mut (impl Begin + Send),
    ) -> Result<Read> {
        let mut read = Read::default();
        loop {
            let (agenda, part, limit) = (Agenda::Due, self.part, PageLimit::items(PAGE));
            let query = AgendaQuery { agenda, part, from, until, after, limit };
            let page = store.list_agenda(query).await?;
            read.seen += page.items.len();
            for (key, row) in page.items {
                read.begun += usize::from(work.begin(key, row));
            }
            after = page.next;
            if after.is_none() || read.seen >= at_most {
                return Ok(Read { next: after, ..read });
            }
        }
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

    /// Takes what it is given, as long as it has room.
    struct Taken {
        room: usize,
        all: BTreeSet<AgendaKey>,
    }

    impl Begin for Taken {
        fn begin(&mut self, key: AgendaKey, _: FollowUp) -> bool {
            let has_room = self.all.len() < self.room;
            has_room && self.all.insert(key)
        }
    }

    fn nobody() -> Taken {
        Taken { room: 0, all: BTreeSet::new() }
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
        let commit = TreeCommit { root, expected: base, rows: rows.collect(), adopts: None };
        store.commit(vec![commit]).await.remove(0).unwrap();
    }

    #[tokio::test]
    async fn what_is_new_does_not_wait_behind_a_long_list() {
        const OLD: u32 = 3 * STRETCH as u32;
        let (store, mut list) = (MemoryStore::new(), DueList::new(0));
        due(&store, 0, (0..OLD).map(|number| (number, 1_000))).await;
        // Nobody has room for what is due.
        assert_eq!(list.round(&store, at(100_000), &mut nobody()).await.unwrap(), 0);
        due(&store, 1, [(OLD, 100_050)].into_iter()).await;
        let mut taken = Taken { room: usize::MAX, all: BTreeSet::new() };
        list.round(&store, at(100_100), &mut taken).await.unwrap();
        assert_eq!(taken.all.last().map(|key| key.time), Some(at(100_050)));
        for _ in 0..3 {
            list.round(&store, at(100_200), &mut taken).await.unwrap();
        }
        assert_eq!(taken.all.len(), OLD as usize + 1);
        assert!(list.length() > OLD as usize, "{}", list.length());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_hides_nothing_for_long() {
        for is_long in [false, true] {
            let (store, mut list) = (MemoryStore::new(), DueList::new(0));
            let old = if is_long { 3 * STRETCH as u32 } else { 3 };
            due(&store, 0, (0..old).map(|number| (number, 1_000))).await;
            let mut all = nobody();
            // An hour ahead for one round, and back.
            for now in [10_000, 3_610_000, 10_100] {
                list.round(&store, at(now), &mut all).await.unwrap();
            }
            due(&store, 1, [(old, 10_150), (old + 1, 20_000)].into_iter()).await;
            all.room = usize::MAX;
            for _ in 0..5 {
                list.round(&store, at(10_200), &mut all).await.unwrap();
            }
            assert_eq!(all.all.len(), old as usize + 1, "and what is due later is not begun");
        }
    }
}
