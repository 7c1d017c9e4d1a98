use std::{collections::VecDeque, pin::pin, sync::Arc};

use futures_util::TryStreamExt;
use jobtracker_model::JobId;
use parking_lot::Mutex;

use super::{Parent, View};
use crate::{Result, Version};

/// Children from one entry of an index to the next: what a seek reads at most, and about as many as
/// a page has.
const STRIDE: u64 = 128;
/// Parents whose indexes are kept: those that were asked for last.
const PARENTS: usize = 64;
/// Children by which one read extends an index. Then other reads have their turn.
const EXTENDED: u64 = 16 * 1_024;

/// Where the children of a job stand among their siblings: every 128th of them.
///
/// Children are only ever added, so it is right as long as it has counted as many as the parent's
/// numbers say: then no id has landed between those that were counted before.
#[derive(Debug, Clone, Default)]
struct SparseIndex {
    /// The tree, since the ids of a deleted one may be used in another.
    root: Option<JobId>,
    /// The children with the numbers 0, 128, 256 …
    entries: Vec<JobId>,
    /// Children that were counted, and the last of them.
    count: u64,
    last: Option<JobId>,
    /// The version of the tree in which they were.
    version: Version,
    /// Entries that were forgotten the last time, since ids had landed between them.
    forgotten: usize,
}

/// The sparse indexes of a store, in memory: 8 bytes for 128 children of each of 64 parents.
#[derive(Debug, Default)]
pub(crate) struct SparseIndexes(Mutex<VecDeque<(JobId, Arc<SparseIndex>)>>);

/// The index of a parent, whole at the instant of the view.
pub(super) struct Places<'a, V> {
    view: &'a V,
    parent: Parent,
    index: Arc<SparseIndex>,
}

impl SparseIndexes {
    /// The index of a parent; `None` if it is not whole yet: the question has to be asked again, of
    /// a later view. Each time it is extended by [`EXTENDED`] children at most.
    pub(super) async fn places<'a, V: View>(
        &self,
        view: &'a V,
        parent: Parent,
    ) -> Result<Option<Places<'a, V>>> {
        let version = view.version(parent.root).await?;
        let known = self.get(parent.id, parent.root);
        if known.version > version {
            // Another reader has extended it in a later view.
            return Ok(None);
        }
        if known.version == version && known.count == parent.children.total() {
            return Ok(Some(Places { view, parent, index: known }));
        }
        let mut index = SparseIndex { root: Some(parent.root), ..(*known).clone() };
        let is_whole = index.extend(view, parent).await?;
        index.version = version;
        let index = Arc::new(index);
        self.keep(parent.id, &index);
        Ok(is_whole.then_some(Places { view, parent, index }))
    }

    /// Forgets all of them: ids of deleted jobs may be used again.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    fn get(&self, parent: JobId, root: JobId) -> Arc<SparseIndex> {
        let kept = self.0.lock();
        let found = kept.iter().find(|(id, _)| *id == parent).map(|(_, index)| index);
        found.filter(|index| index.root == Some(root)).cloned().unwrap_or_default()
    }

    fn keep(&self, parent: JobId, index: &Arc<SparseIndex>) {
        let mut kept = self.0.lock();
        if let Some(place) = kept.iter().position(|(id, _)| *id == parent) {
            let is_later =
                |known: &SparseIndex| known.root == index.root && known.version > index.version;
            let later = kept.remove(place).filter(|(_, known)| is_later(known));
            if let Some(later) = later {
                kept.push_front(later);
                return;
            }
        }
        kept.push_front((parent, Arc::clone(index)));
        kept.truncate(PARENTS);
    }
}

impl SparseIndex {
    /// Counts more children; answers whether it has counted all.
    async fn extend<V: View>(&mut self, view: &V, parent: Parent) -> Result<bool> {
        // What is counted anew as a whole is counted in one view, so that this comes to an end; and
        // what is counted in one view is right, whatever the numbers say.
        let is_begun = self.count > 0;
        let mut left = if !is_begun && self.forgotten > 0 { u64::MAX } else { EXTENDED };
        let mut ids = pin!(view.child_ids(parent, self.last));
        while let Some(id) = ids.try_next().await? {
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            if self.count.is_multiple_of(STRIDE) {
                self.entries.push(id);
            }
            self.count += 1;
            self.last = Some(id);
        }
        let is_whole = !is_begun || self.count == parent.children.total();
        match is_whole {
            true => self.forgotten = 0,
            false => self.forget(),
        }
        Ok(is_whole)
    }

    /// Forgets the last entries, twice as many as the last time. Ids land close to the end more
    /// often than far from it, so most of the index stays.
    fn forget(&mut self) {
        self.forgotten = (2 * self.forgotten).max(1);
        self.entries.truncate(self.entries.len().saturating_sub(self.forgotten));
        self.last = self.entries.last().copied();
        self.count = (self.entries.len() as u64).saturating_sub(1) * STRIDE;
        self.count += u64::from(self.last.is_some());
    }
}

impl<V: View> Places<'_, V> {
    /// The child with this number, from 0 by rising id.
    pub async fn child(&self, number: u64) -> Result<Option<JobId>> {
        let entry = usize::try_from(number / STRIDE).unwrap_or(usize::MAX);
        let mut child = self.index.entries.get(entry).copied();
        let mut ids = pin!(self.view.child_ids(self.parent, child));
        for _ in 0..number % STRIDE {
            child = ids.try_next().await?;
        }
        Ok(child)
    }

    /// The number of a child.
    pub async fn number(&self, child: JobId) -> Result<u64> {
        let entries = &self.index.entries;
        let behind = entries.partition_point(|entry| *entry <= child);
        let Some(entry) = behind.checked_sub(1) else { return Ok(0) };
        let mut number = entry as u64 * STRIDE;
        if entries[entry] == child {
            return Ok(number);
        }
        let mut ids = pin!(self.view.child_ids(self.parent, Some(entries[entry])));
        while let Some(id) = ids.try_next().await? {
            number += 1;
            if id >= child {
                break;
            }
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId::new(number).unwrap()
    }

    #[test]
    fn the_indexes_that_were_asked_for_last_are_kept_in_their_latest_version() {
        let indexes = SparseIndexes::default();
        let root = Some(id(1));
        let index = |version| Arc::new(SparseIndex { root, version, ..SparseIndex::default() });
        for parent in 1..=PARENTS as u64 + 1 {
            indexes.keep(id(parent), &index(2));
        }
        let get = |parent| indexes.get(id(parent), id(1)).version;
        assert_eq!(get(1), 0, "it was not asked for");
        assert_eq!(indexes.get(id(2), id(9)).version, 0, "it was one of another tree");
        indexes.keep(id(2), &index(1));
        indexes.keep(id(3), &index(3));
        assert_eq!([2, 3].map(get), [2, 3]);
        assert_eq!(indexes.0.lock().len(), PARENTS);
    }

    #[test]
    fn more_and_more_is_forgotten() {
        let entries: Vec<_> = (1..=9).map(id).collect();
        let last = entries.last().copied();
        let count = 8 * STRIDE + 7;
        let mut index = SparseIndex { entries, count, last, ..SparseIndex::default() };
        let mut left = Vec::new();
        for _ in 0..4 {
            index.forget();
            left.push((index.entries.len(), index.count, index.last.map(JobId::get)));
        }
        let of = |entries: u64| (entries as usize, (entries - 1) * STRIDE + 1, Some(entries));
        assert_eq!(left, [of(8), of(6), of(2), (0, 0, None)]);
    }
}
