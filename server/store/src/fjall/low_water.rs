//! Where the lists by time begin.
//!
//! The store is asked for due follow-ups several times a second, from the oldest on. Removed
//! entries stand before them in the tables until the engine merges those, and are skipped row by
//! row: a million removed entries take up to a tenth of a second. So the first entry of each list
//! is remembered.

use std::collections::VecDeque;

use jobtracker_model::{JobId, Timestamp};

use crate::{FollowUpKey, IndexId, IndexKey};

/// Groups of commits that add entries during a read, of which each is known; a reader that has read
/// for longer does not say where the list begins.
const GROUPS: usize = 1024;

/// Keys before which the lists by time have no entry.
#[derive(Debug, Clone, Copy)]
pub struct LowWaterMarks([IndexKey; IndexId::ALL.len()]);

/// The least entries that a group of commits adds to the lists.
#[derive(Debug, Clone, Copy, Default)]
pub struct Least([Option<IndexKey>; IndexId::ALL.len()]);

/// The least entries that the last groups added, so that a reader of an earlier snapshot can say
/// where a list begins now.
#[derive(Default)]
pub struct Added {
    groups: VecDeque<(u64, Least)>,
    /// The last snapshot of those that are known no more.
    forgotten: u64,
}

impl Default for LowWaterMarks {
    fn default() -> Self {
        let first = IndexKey { time: Timestamp::MIN, id: JobId::MIN, key: FollowUpKey::Watch };
        Self([first; IndexId::ALL.len()])
    }
}

impl LowWaterMarks {
    pub fn of(&self, index: IndexId) -> IndexKey {
        self.0[usize::from(index.number())]
    }

    /// A list has been read from its begin on; `read` is its first entry, if it has one.
    pub fn learn(&mut self, index: IndexId, read: Option<IndexKey>) {
        let key = FollowUpKey::Delivery(u32::MAX);
        let behind_all = IndexKey { time: Timestamp::MAX, id: JobId::MAX, key };
        let first = &mut self.0[usize::from(index.number())];
        *first = read.unwrap_or(behind_all).max(*first);
    }

    /// Entries are added.
    pub fn add(&mut self, least: Least) {
        for (first, least) in self.0.iter_mut().zip(least.0) {
            *first = least.unwrap_or(*first).min(*first);
        }
    }
}

impl Least {
    pub fn add(&mut self, (index, place): (IndexId, IndexKey)) {
        let least = &mut self.0[usize::from(index.number())];
        *least = Some(least.map_or(place, |least| least.min(place)));
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Added {
    /// The group that makes this snapshot adds these entries.
    pub fn add(&mut self, epoch: u64, least: Least) {
        if least.is_empty() {
            return;
        }
        self.groups.push_back((epoch, least));
        if self.groups.len() > GROUPS
            && let Some((forgotten, _)) = self.groups.pop_front()
        {
            self.forgotten = forgotten;
        }
    }

    /// Forgets what was added before a snapshot.
    pub fn forget(&mut self, epoch: u64) {
        *self = Self { groups: VecDeque::new(), forgotten: epoch };
    }

    /// The least entries that were added since a snapshot; `None` if they are not known any more.
    pub fn since(&self, epoch: u64) -> Option<impl Iterator<Item = Least>> {
        let later = self.groups.iter().rev().take_while(move |(of, _)| *of > epoch);
        (epoch >= self.forgotten).then(|| later.map(|(_, least)| *least))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;
    use crate::{
        fjall::{
            FjallOptions,
            hot_cache::{Changed, HotCache},
            keys,
            snapshot::Present,
            tables::Tables,
            view::SnapshotView,
        },
        view::{Lists as _, at_once},
    };

    fn place(millis: i64) -> IndexKey {
        let time = Timestamp::from_millis(millis).unwrap();
        IndexKey { time, id: JobId::MIN, key: FollowUpKey::Check(0) }
    }

    struct Lists {
        tables: Tables,
        cache: HotCache,
        _directory: tempfile::TempDir,
    }

    impl Lists {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let options = FjallOptions::new(directory.path());
            let tables = Tables::open(directory.path(), &options).unwrap();
            let cache = HotCache::new(&options, Present::of_jobs(&tables, 1));
            Self { tables, cache, _directory: directory }
        }

        /// One group of commits.
        fn moves(&self, gone: &[i64], new: &[i64]) {
            let mut batch = self.tables.batch(0);
            let mut changed = Changed::default();
            for millis in gone {
                batch.remove(&self.tables.index, keys::entry(IndexId::Due, place(*millis)));
            }
            for millis in new {
                let key = keys::entry(IndexId::Due, place(*millis));
                batch.insert(&self.tables.index, key, "");
                changed.listed.add((IndexId::Due, place(*millis)));
            }
            batch.commit().unwrap();
            self.cache.advance(self.tables.database.snapshot(), changed);
        }

        fn view(&self) -> SnapshotView<'_> {
            SnapshotView::new(&self.tables, &self.cache)
        }

        fn first(&self) -> IndexKey {
            self.cache.now().low_water.of(IndexId::Due)
        }
    }

    fn list(view: &SnapshotView<'_>, from: i64) -> Vec<i64> {
        let from = IndexKey { key: FollowUpKey::Watch, ..place(from) };
        let found = view.index(IndexId::Due, from).map_ok(|place| place.time.millis());
        at_once(found.try_collect()).unwrap()
    }

    #[test]
    fn what_has_gone_is_passed_by_once() {
        let lists = Lists::new();
        lists.moves(&[], &[3, 5, 8, 9]);
        assert_eq!(list(&lists.view(), 5), [5, 8, 9]);
        assert_eq!(lists.first().time, Timestamp::MIN, "it was not read from its begin");
        assert_eq!(list(&lists.view(), 0), [3, 5, 8, 9]);
        assert_eq!(lists.first(), place(3));
        lists.moves(&[3, 5], &[]);
        assert_eq!(list(&lists.view(), 0), [8, 9]);
        assert_eq!(lists.first(), place(8));
        assert_eq!(list(&lists.view(), 9), [9]);
        assert_eq!(lists.first(), place(8));
        lists.moves(&[8, 9], &[]);
        assert!(list(&lists.view(), 0).is_empty());
        assert!(lists.first() > place(1 << 40));
        let failed = lists.cache.now().low_water.of(IndexId::Failed);
        assert_eq!(failed.time, Timestamp::MIN, "the other list");
        // An entry that is added then is found, wherever it stands.
        for (new, due) in [(7, vec![7]), (4, vec![4, 7]), (9, vec![4, 7, 9])] {
            lists.moves(&[], &[new]);
            assert_eq!(list(&lists.view(), 0), due);
            assert_eq!(lists.first(), place(due[0]));
        }
    }

    #[test]
    fn what_comes_while_somebody_reads_is_not_passed_by() {
        let lists = Lists::new();
        lists.moves(&[], &[3, 8]);
        let early = lists.view();
        lists.moves(&[3, 8], &[5, 9]);
        let late = lists.view();
        lists.moves(&[5], &[7]);
        assert!(list(&lists.view(), 0) == [7, 9] && lists.first() == place(7));
        // Readers that began earlier see what was there then, and learn what was added since.
        assert_eq!(list(&early, 0), [3, 8]);
        assert_eq!(list(&late, 0), [5, 9]);
        assert_eq!(lists.first(), place(7));
    }

    #[test]
    fn who_has_read_for_long_does_not_say_where_a_list_begins() {
        for (groups, is_known) in [(10, true), (GROUPS, false)] {
            let lists = Lists::new();
            lists.moves(&[], &[7, 9]);
            let early = lists.view();
            lists.moves(&[7, 9], &[2]);
            for _ in 0..groups {
                let mut listed = Least::default();
                listed.add((IndexId::Due, place(8)));
                let changed = Changed { listed, ..Changed::default() };
                lists.cache.advance(lists.tables.database.snapshot(), changed);
            }
            assert_eq!(list(&early, 0), [7, 9]);
            let due = if is_known { place(2).time } else { Timestamp::MIN };
            assert_eq!(lists.first().time, due, "after {groups} groups");
            assert_eq!(list(&lists.view(), 0), [2]);
        }
    }
}
