use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Range},
    ops::{Bound, ControlFlow, RangeBounds},
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};

use super::stages::Stage;
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Origin, RepeatRow, Result, RootKey, StageId,
    TreeResultRow, UploadRow, Version, View,
    view::{Child, ChildIndex, Visit},
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
    pub sendings: BTreeSet<(Timestamp, UploadId)>,
    /// Staged rows, which readers do not see yet.
    pub stages: BTreeMap<StageId, Stage>,
}

impl View for Rows {
    fn version(&self, root: JobId) -> Result<Version> {
        Ok(self.versions.get(&root).copied().unwrap_or(0))
    }

    fn origin(&self, id: JobId) -> Result<Option<Origin>> {
        Ok(self.origins.get(&id).copied())
    }

    fn status(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Status>> {
        Ok(self.statuses.get(&(parent, id)).cloned())
    }

    fn definition(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Arc<Definition>>> {
        Ok(self.definitions.get(&(parent, id)).cloned())
    }

    fn children(&self, parent: JobId, after: Option<JobId>, visit: Visit<Child>) -> Result<()> {
        for (place, status) in self.statuses.range(siblings(parent, after)) {
            let id = place.1;
            let definition = self
                .definitions
                .get(place)
                .cloned()
                .ok_or_else(|| Error::Corrupt(format!("job {id} has no definition")))?;
            if visit(Child { id, definition, status: status.clone() }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn indexed(
        &self,
        parent: JobId,
        index: ChildIndex,
        after: Option<JobId>,
        visit: Visit<JobId>,
    ) -> Result<()> {
        let places = match index {
            ChildIndex::Pending => &self.pending,
            ChildIndex::Failed => &self.failed,
        };
        until_break(places.range(siblings(parent, after)).map(|place| place.1), visit);
        Ok(())
    }

    fn changes(&self, id: JobId, from: u32, visit: Visit<(u32, Change)>) -> Result<()> {
        let rows = numbered(&self.changes, id, from);
        until_break(rows.map(|((_, number), change)| (*number, change.clone())), visit);
        Ok(())
    }

    fn log(&self, id: JobId, from: u32, visit: Visit<LogLine>) -> Result<()> {
        until_break(numbered(&self.log, id, from).map(|(_, line)| line.clone()), visit);
        Ok(())
    }

    fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        Ok(self.repeats.get(&id).and_then(|rows| rows.get(key)).copied())
    }

    fn repeats(&self, id: JobId, visit: Visit<(Repeat, RepeatRow)>) -> Result<()> {
        let rows = self.repeats.get(&id).into_iter().flatten();
        until_break(rows.map(|(key, row)| (key.clone(), *row)), visit);
        Ok(())
    }

    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        Ok(self.attachments.get(&id).and_then(|texts| texts.get(key)).cloned())
    }

    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()> {
        let texts = self.attachments.get(&id).into_iter().flatten();
        until_break(texts.map(|(key, text)| (key.clone(), text.len())), visit);
        Ok(())
    }

    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<RootKey>,
        visit: Visit<RootKey>,
    ) -> Result<()> {
        let oldest = RootKey { time: from, id: JobId::MIN };
        // The first key that is not listed any more, going to newer ones.
        let end = RootKey { time: to, id: JobId::MIN };
        let end = after.map_or(end, |after| after.min(end));
        if oldest < end {
            until_break(self.roots.range(oldest..end).rev().copied(), visit);
        }
        Ok(())
    }

    fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        Ok(self.follow_ups.get(&(id, key)).cloned())
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        let rows = self.follow_ups.range((id, from)..).take_while(|((of, _), _)| *of == id);
        until_break(rows.map(|((_, key), row)| (*key, row.clone())), visit);
        Ok(())
    }

    fn index(&self, index: IndexId, from: IndexKey, visit: Visit<IndexKey>) -> Result<()> {
        let places = self.index.range((index, from)..);
        let places = places.take_while(|(of, _)| *of == index).map(|(_, place)| *place);
        until_break(places, visit);
        Ok(())
    }

    fn tree_result(&self, commit: &UploadId, root: JobId) -> Result<Option<TreeResultRow>> {
        Ok(self.tree_results.get(&(commit.clone(), root)).cloned())
    }

    fn tree_results(
        &self,
        commit: &UploadId,
        after: Option<JobId>,
        visit: Visit<TreeResultRow>,
    ) -> Result<()> {
        let of = |root| (commit.clone(), root);
        let start = match after {
            Some(after) => Bound::Excluded(of(after)),
            None => Bound::Included(of(JobId::MIN)),
        };
        let rows = self.tree_results.range((start, Bound::Included(of(JobId::MAX))));
        until_break(rows.map(|(_, row)| row.clone()), visit);
        Ok(())
    }

    fn completed(&self, commit: &UploadId) -> Result<Option<UploadRow>> {
        Ok(self.commits.get(commit).cloned())
    }
}

/// The children of a job behind one of them.
fn siblings(parent: JobId, after: Option<JobId>) -> impl RangeBounds<Place> {
    let parent = Some(parent);
    let start = match after {
        Some(after) => Bound::Excluded((parent, after)),
        None => Bound::Included((parent, JobId::MIN)),
    };
    (start, Bound::Included((parent, JobId::MAX)))
}

fn numbered<T>(
    rows: &BTreeMap<(JobId, u32), T>,
    id: JobId,
    from: u32,
) -> Range<'_, (JobId, u32), T> {
    rows.range((id, from)..=(id, u32::MAX))
}

fn until_break<T>(rows: impl Iterator<Item = T>, visit: Visit<T>) {
    for row in rows {
        if visit(row) == ControlFlow::Break(()) {
            break;
        }
    }
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
        let places: Vec<_> = all.iter().filter_map(Row::place).map(|(_, place)| place).collect();
        let list = |rows: &Rows, items| {
            let (from, until, after) = (Timestamp::MIN, Timestamp::MAX, None);
            let limit = PageLimit { items, bytes: 1 << 20, scan: 100 };
            let query = IndexQuery { index: IndexId::Due, part: 0, from, until, after, limit };
            let listed = view::list_index(rows, &query).unwrap();
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
