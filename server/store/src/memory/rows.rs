use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Range},
    iter,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use futures_util::{Stream, stream};
use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};

use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Node, Order, Origin, RepeatRow, Result,
    RootKey, Row, StageId, Tombstone, TreeResultRow, UploadRow, Version,
    view::{Child, ChildIndex, Lists, Parent, Selection, View},
};

/// A job under its parent, so that children stand beside each other.
pub(super) type Place = (Option<JobId>, JobId);

/// Every row of the store.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub versions: BTreeMap<JobId, Version>,
    pub origins: BTreeMap<JobId, Origin>,
    pub statuses: BTreeMap<Place, Status>,
    pub definitions: BTreeMap<Place, Arc<Definition>>,
    pub pending: BTreeSet<Place>,
    pub failed: BTreeSet<Place>,
    pub roots: BTreeSet<RootKey>,
    pub changes: BTreeMap<(JobId, u32), Change>,
    pub log: BTreeMap<(JobId, u32), LogLine>,
    pub repeats: BTreeMap<JobId, BTreeMap<Repeat, RepeatRow>>,
    pub attachments: BTreeMap<JobId, BTreeMap<String, String>>,
    pub follow_ups: BTreeMap<(JobId, FollowUpKey), FollowUp>,
    pub index: BTreeSet<(IndexId, IndexKey)>,
    pub tree_results: BTreeMap<(UploadId, JobId), TreeResultRow>,
    pub commits: BTreeMap<UploadId, UploadRow>,
    pub sent: BTreeSet<(Timestamp, UploadId)>,
    /// What is kept of deleted trees, and the ids that they had.
    pub tombstones: BTreeMap<JobId, Tombstone>,
    pub deleted_ids: BTreeSet<JobId>,
    /// Staged rows, which readers do not see yet.
    pub stages: BTreeMap<StageId, Stage>,
}

/// Staged rows, which readers do not see yet.
#[derive(Debug)]
pub(super) struct Stage {
    pub root: JobId,
    pub rows: Vec<Row>,
    pub ids: BTreeSet<JobId>,
    /// A call has failed, so that rows are missing.
    pub broken: bool,
}

impl Rows {
    /// An upload that is complete.
    pub fn completed(&self, upload: &UploadId) -> Option<UploadRow> {
        self.commits.get(upload).cloned()
    }

    fn child(&self, place: Place, selection: Selection) -> Result<Child> {
        let (_, id) = place;
        let missing = || Error::Corrupt(format!("job {id} is not there as a whole"));
        let status = self.statuses.get(&place).cloned().ok_or_else(missing)?;
        let definition = self.definitions.get(&place).filter(|_| selection.shows(&status)).cloned();
        let origin = self.origins.get(&id).copied();
        Ok(Child { id, status, definition, origin })
    }
}

impl View for Rows {
    async fn version(&self, root: JobId) -> Result<Version> {
        Ok(self.versions.get(&root).copied().unwrap_or(0))
    }

    async fn tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        Ok(self.tombstones.get(&root).cloned())
    }

    async fn node(&self, id: JobId) -> Result<Option<Node>> {
        let Some(&origin) = self.origins.get(&id) else { return Ok(None) };
        let status = self.statuses.get(&(origin.parent, id)).cloned();
        Ok(status.map(|status| Node { origin, status }))
    }

    async fn definition(
        &self,
        id: JobId,
        parent: Option<JobId>,
    ) -> Result<Option<Arc<Definition>>> {
        Ok(self.definitions.get(&(parent, id)).cloned())
    }

    async fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        Ok(self.repeats.get(&id).and_then(|rows| rows.get(key)).copied())
    }

    async fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        Ok(self.attachments.get(&id).and_then(|texts| texts.get(key)).cloned())
    }

    async fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        Ok(self.follow_ups.get(&(id, key)).cloned())
    }

    async fn tree_result(&self, upload: &UploadId, root: JobId) -> Result<Option<TreeResultRow>> {
        Ok(self.tree_results.get(&(upload.clone(), root)).cloned())
    }

    fn children(
        &self,
        parent: Parent,
        after: Option<JobId>,
        order: Order,
        selection: Selection,
    ) -> impl Stream<Item = Result<Child>> {
        let of = siblings(parent.id, after, order);
        let mut places: Box<dyn DoubleEndedIterator<Item = &Place>> = match selection.index() {
            None => Box::new(self.statuses.range(of).map(|(place, _)| place)),
            Some(ChildIndex::Pending) => Box::new(self.pending.range(of)),
            Some(ChildIndex::Failed) => Box::new(self.failed.range(of)),
        };
        let next = move || match order {
            Order::Oldest => places.next(),
            Order::Newest => places.next_back(),
        };
        stream::iter(iter::from_fn(next).map(move |place| self.child(*place, selection)))
    }

    fn child_ids(&self, parent: Parent, after: Option<JobId>) -> impl Stream<Item = Result<JobId>> {
        let places = self.statuses.range(siblings(parent.id, after, Order::Oldest));
        stream::iter(places.map(|((_, id), _)| Ok(*id)))
    }

    fn changes(&self, id: JobId, from: u32) -> impl Stream<Item = Result<(u32, Change)>> {
        let rows = numbered(&self.changes, id, from);
        stream::iter(rows.map(|((_, number), change)| Ok((*number, change.clone()))))
    }

    fn log(&self, id: JobId, from: u32) -> impl Stream<Item = Result<LogLine>> {
        stream::iter(numbered(&self.log, id, from).map(|(_, line)| Ok(line.clone())))
    }

    fn repeats(&self, id: JobId) -> impl Stream<Item = Result<(Repeat, RepeatRow)>> {
        let rows = self.repeats.get(&id).into_iter().flatten();
        stream::iter(rows.map(|(key, row)| Ok((key.clone(), *row))))
    }

    fn attachments(&self, id: JobId) -> impl Stream<Item = Result<(String, usize)>> {
        let texts = self.attachments.get(&id).into_iter().flatten();
        stream::iter(texts.map(|(key, text)| Ok((key.clone(), text.len()))))
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
    ) -> impl Stream<Item = Result<(FollowUpKey, FollowUp)>> {
        let rows = self.follow_ups.range((id, from)..).take_while(move |((of, _), _)| *of == id);
        stream::iter(rows.map(|((_, key), row)| Ok((*key, row.clone()))))
    }
}

impl Lists for Rows {
    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        order: Order,
        after: Option<RootKey>,
    ) -> impl Stream<Item = Result<RootKey>> {
        let [oldest, end] = [from, to].map(|time| RootKey { time, id: JobId::MIN });
        let is_behind = move |key: &RootKey| match (order, after) {
            (_, None) => true,
            (Order::Oldest, Some(after)) => *key > after,
            (Order::Newest, Some(after)) => *key < after,
        };
        let (start, end) = match (order, after) {
            (_, None) => (oldest, end),
            (Order::Oldest, Some(after)) => (oldest.max(after), end),
            (Order::Newest, Some(after)) => (oldest, end.min(after)),
        };
        let mut keys = self.roots.range(start..end.max(start));
        let next = move || match order {
            Order::Oldest => keys.next(),
            Order::Newest => keys.next_back(),
        };
        stream::iter(iter::from_fn(next).filter(move |key| is_behind(key)).map(|key| Ok(*key)))
    }

    fn index(&self, index: IndexId, from: IndexKey) -> impl Stream<Item = Result<IndexKey>> {
        let places = self.index.range((index, from)..);
        let places = places.take_while(move |(of, _)| *of == index);
        stream::iter(places.map(|(_, place)| Ok(*place)))
    }

    fn tree_results(
        &self,
        upload: &UploadId,
        after: Option<JobId>,
    ) -> impl Stream<Item = Result<TreeResultRow>> {
        let of = |root| (upload.clone(), root);
        let start = match after {
            Some(after) => Bound::Excluded(of(after)),
            None => Bound::Included(of(JobId::MIN)),
        };
        let rows = self.tree_results.range((start, Bound::Included(of(JobId::MAX))));
        stream::iter(rows.map(|(_, row)| Ok(row.clone())))
    }
}

/// The children of a job behind one of them.
fn siblings(parent: JobId, after: Option<JobId>, order: Order) -> impl RangeBounds<Place> {
    let parent = Some(parent);
    let [first, last] = [JobId::MIN, JobId::MAX].map(|id| Bound::Included((parent, id)));
    let behind = after.map(|after| Bound::Excluded((parent, after)));
    match order {
        Order::Oldest => (behind.unwrap_or(first), last),
        Order::Newest => (first, behind.unwrap_or(last)),
    }
}

fn numbered<T>(
    rows: &BTreeMap<(JobId, u32), T>,
    id: JobId,
    from: u32,
) -> Range<'_, (JobId, u32), T> {
    rows.range((id, from)..=(id, u32::MAX))
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{CheckKind, HttpAction, NewCheck};

    use super::*;
    use crate::{CheckProgress, CheckRow, IndexQuery, PageLimit, Row, TreeCommit, view};

    fn waiting(id: u64, number: u32, time: i64) -> Row {
        let time = Timestamp::from_millis(time).unwrap();
        let told = HttpAction::new("https://jobs.example/");
        let check = NewCheck::new(CheckKind::Silence { quiet_ms: 1_000 }).on_failure(told);
        let row = CheckRow::new(Arc::new(check), time);
        let row = CheckRow { progress: CheckProgress::Waiting(time), ..row };
        let (id, key) = (JobId::new(id).unwrap(), FollowUpKey::Check(number));
        Row::FollowUp { id, key, before: None, row: FollowUp::Check(row) }
    }

    /// One leftover entry does not stop the list.
    #[test]
    fn a_place_without_a_follow_up_is_passed_by() {
        let mut rows = Rows::default();
        let all = [waiting(1, 0, 5), waiting(2, 0, 6), waiting(3, 0, 7)];
        let root = JobId::MIN;
        rows.commit(TreeCommit { root, expected: 0, rows: all.to_vec(), publishes: None }).unwrap();
        let places: Vec<_> = all.iter().filter_map(Row::entry).map(|(_, place)| place).collect();
        let list = |rows: &Rows, items| {
            let (from, until, after) = (Timestamp::MIN, Timestamp::MAX, None);
            let limit = PageLimit { items, bytes: 1 << 20, scan: 100 };
            let query = IndexQuery { index: IndexId::Due, part: 0, from, until, after, limit };
            let listed = view::at_once(view::list_index(rows, &query)).unwrap();
            let items: Vec<_> = listed.items.into_iter().map(|(place, _)| place).collect();
            (items, listed.next)
        };
        assert_eq!(list(&rows, 9), (places.clone(), None));
        // A row is missing, and another one has moved meanwhile.
        rows.follow_ups.remove(&(places[0].id, places[0].key));
        let Row::FollowUp { row, .. } = waiting(2, 0, 60) else { panic!("a follow-up") };
        rows.follow_ups.insert((places[1].id, places[1].key), row);
        assert_eq!(list(&rows, 9), (vec![places[2]], None));
        assert_eq!(list(&rows, 1), (vec![places[2]], None));
    }
}
