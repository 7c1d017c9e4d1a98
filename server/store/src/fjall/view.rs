use std::{cell::RefCell, collections::HashMap, iter, sync::Arc};

use fjall::{Keyspace, Readable, Slice};
use futures_util::{Stream, future::Either, stream};
use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};

use super::{
    failure,
    hot_cache::{HotCache, Seen},
    keys::{self, Key, Part},
    snapshot::Snapshot,
    tables::{self, Tables},
};
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Node, Order, Origin, RepeatRow, Result,
    RootKey, Tombstone, TreeResultRow, UploadRow, Version,
    coding::{self, LineRow},
    view::{Child, ChildIndex, Lists, Parent, Selection, View},
};

/// Rows that one read may bring into the caches; more are not worth their time.
const SEEN: usize = 4096;

/// Consecutive hidden ids that a new search skips, rather than one by one.
const WORTH_A_SEEK: u64 = 64;

/// The rows of one snapshot: from the cache where it has them, from the tables otherwise.
pub struct SnapshotView<'a> {
    pub tables: &'a Tables,
    cache: &'a HotCache,
    pub snapshot: Snapshot,
    seen: RefCell<Seen>,
    /// Origins whose status may be asked for next.
    origins: RefCell<HashMap<JobId, Origin>>,
}

/// A snapshot that outlasts a read.
#[derive(Clone)]
pub struct Instant {
    snapshot: Snapshot,
    /// The opening of the engine that the snapshot is of.
    opening: Arc<()>,
}

impl Instant {
    /// The rows of it.
    pub fn view<'a>(self, tables: &'a Tables, cache: &'a HotCache) -> Result<SnapshotView<'a>> {
        if !Arc::ptr_eq(&tables.opening, &self.opening) {
            return Err(Error::Unavailable("the store was opened again".into()));
        }
        Ok(SnapshotView::at(tables, cache, self.snapshot))
    }
}

impl<'a> SnapshotView<'a> {
    pub fn new(tables: &'a Tables, cache: &'a HotCache) -> Self {
        Self::at(tables, cache, cache.now())
    }

    /// The instant of it.
    pub fn instant(&self) -> Instant {
        let (snapshot, opening) = (self.snapshot.clone(), Arc::clone(&self.tables.opening));
        Instant { snapshot, opening }
    }

    /// The rows of this snapshot, which is one of these tables.
    fn at(tables: &'a Tables, cache: &'a HotCache, snapshot: Snapshot) -> Self {
        Self { tables, cache, snapshot, seen: RefCell::default(), origins: RefCell::default() }
    }

    /// Leaves what was read to later readers.
    pub fn finish(self) {
        self.cache.keep(self.snapshot.epoch, self.seen.into_inner());
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        keyspace: &Keyspace,
        key: &[u8],
        what: &str,
    ) -> Result<Option<T>> {
        tables::get(&self.snapshot.rows, keyspace, key, what)
    }

    /// Every row from `first` to `last`.
    fn scan(
        &self,
        keyspace: &Keyspace,
        first: &[u8],
        last: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice)>> + use<> {
        let rows = self.snapshot.rows.range(keyspace, first..=last);
        rows.map(|row| row.into_inner().map_err(failure::reading))
    }

    /// Every row of keys that begin so.
    fn prefixed(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Slice, Slice)>> + use<> {
        let rows = self.snapshot.rows.prefix(keyspace, prefix);
        rows.map(|row| row.into_inner().map_err(failure::reading))
    }

    /// The rows of the visible ones of those children, in this order. `range` tells the first and
    /// the last key behind a child, `child` the child of a key.
    fn scan_children(
        &self,
        keyspace: &Keyspace,
        (after, order): (Option<JobId>, Order),
        range: impl Fn(Option<JobId>) -> (Key, Key),
        child: impl Fn(&[u8]) -> Result<JobId>,
    ) -> impl Iterator<Item = Result<(JobId, Slice, Slice)>> {
        let scan = move |after| {
            let (first, last) = range(after);
            self.scan(keyspace, &first, &last)
        };
        let mut rows = scan(after);
        // The end of the run of hidden ids that the scan is in.
        let mut run = None;
        let mut next = move || {
            loop {
                let row = match order {
                    Order::Oldest => rows.next(),
                    Order::Newest => rows.next_back(),
                };
                let Some((key, value)) = row.transpose()? else { return Ok(None) };
                let id = child(&key)?;
                let is_in = |end| match order {
                    Order::Oldest => id <= end,
                    Order::Newest => id >= end,
                };
                if run.is_some_and(is_in) {
                    continue;
                }
                run = self.snapshot.hidden.run_end(id, order);
                match run {
                    None => return Ok(Some((id, key, value))),
                    Some(end) if end.get().abs_diff(id.get()) >= WORTH_A_SEEK => rows = scan(run),
                    Some(_) => {}
                }
            }
        };
        iter::from_fn(move || next().transpose())
    }

    /// All children.
    fn whole_children(
        &self,
        parent: JobId,
        behind: (Option<JobId>, Order),
        selection: Selection,
    ) -> impl Iterator<Item = Result<Child>> {
        let mut rows = self.child_rows(parent, behind);
        let mut next = move || {
            let Some(one) = rows.next().transpose()? else { return Ok(None) };
            let Some(other) = rows.next().transpose()? else {
                return Err(half_a_job(one.0));
            };
            let ((id, first, definition), (of, second, status)) = match behind.1 {
                Order::Oldest => (one, other),
                Order::Newest => (other, one),
            };
            let parts = (keys::child(&first)?.1, keys::child(&second)?.1);
            if of != id || parts != (Part::Definition, Part::Status) {
                return Err(half_a_job(id));
            }
            let status = coding::decode("status", &status)?;
            let mut child = Child { id, status, definition: None, origin: None };
            if selection.shows(&child.status) {
                child.definition = Some(Arc::new(coding::decode("definition", &definition)?));
            }
            if selection.asks_for_origins() {
                child.origin = self.origin(id)?;
            }
            Ok(Some(child))
        };
        iter::from_fn(move || next().transpose())
    }

    /// The rows of all children.
    fn child_rows(
        &self,
        parent: JobId,
        behind: (Option<JobId>, Order),
    ) -> impl Iterator<Item = Result<(JobId, Slice, Slice)>> {
        let range = move |after| keys::children(parent, after, behind.1);
        let child = |key: &[u8]| Ok(keys::child(key)?.0);
        self.scan_children(&self.tables.jobs, behind, range, child)
    }

    /// The children in an index.
    fn indexed_children(
        &self,
        parent: JobId,
        index: ChildIndex,
        behind: (Option<JobId>, Order),
        selection: Selection,
    ) -> impl Iterator<Item = Result<Child>> {
        let range = move |after| keys::indexed_behind(index, parent, after, behind.1);
        let ids = self.scan_children(&self.tables.index, behind, range, keys::indexed_id);
        ids.map(move |row| {
            let (id, above) = (row?.0, Some(parent));
            let missing = || Error::Corrupt(format!("child {id} is in an index and not there"));
            let status = self.status(id, above)?.ok_or_else(missing)?;
            let definition = match selection.shows(&status) {
                true => Some(self.read_definition(id, above)?.ok_or_else(missing)?),
                false => None,
            };
            Ok(Child { id, status, definition, origin: None })
        })
    }

    /// Whether rows of a job are hidden.
    fn hides(&self, id: JobId) -> Result<bool> {
        let is_gone = || Ok(!self.snapshot.gone.is_empty() && self.origin(id)?.is_none());
        if self.snapshot.hidden.has(id) { Ok(true) } else { is_gone() }
    }

    /// An upload that is complete.
    pub fn completed(&self, upload: &UploadId) -> Result<Option<UploadRow>> {
        self.get(&self.tables.index, &keys::completed(upload), "completed commit")
    }

    fn origin(&self, id: JobId) -> Result<Option<Origin>> {
        if id.get() > self.snapshot.max_id {
            return Ok(None);
        }
        if let Some(node) = self.cache.node_at(self.snapshot.epoch, id) {
            return Ok(Some(node.origin).filter(|origin| !self.snapshot.gone.has(origin.root)));
        }
        // Without its origin, a reader reaches nothing else of the job.
        if self.snapshot.hidden.has(id) {
            return Ok(None);
        }
        let origin = tables::origin(&self.snapshot.rows, self.tables, id)?;
        let origin = origin.filter(|origin| !self.snapshot.gone.has(origin.root));
        if let Some(origin) = origin
            && self.origins.borrow().len() < SEEN
        {
            self.origins.borrow_mut().insert(id, origin);
        }
        Ok(origin)
    }

    fn status(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Status>> {
        if let Some(node) = self.cache.node_at(self.snapshot.epoch, id)
            && node.origin.parent == parent
        {
            return Ok(Some(node.status));
        }
        let key = keys::job(parent, id, Part::Status);
        let status: Option<Status> = self.get(&self.tables.jobs, &key, "status")?;
        if let Some(status) = &status
            && self.seen.borrow().nodes.len() < SEEN
            && let Some(origin) = self.origins.borrow_mut().remove(&id)
        {
            let node = Node { origin, status: status.clone() };
            self.seen.borrow_mut().nodes.push((id, node));
        }
        Ok(status)
    }

    fn read_definition(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Arc<Definition>>> {
        if let Some(definition) = self.cache.definition_at(self.snapshot.epoch, id) {
            return Ok(Some(definition));
        }
        let key = keys::job(parent, id, Part::Definition);
        let definition: Option<Definition> = self.get(&self.tables.jobs, &key, "definition")?;
        let definition = definition.map(Arc::new);
        if let Some(definition) = &definition
            && self.seen.borrow().definitions.len() < SEEN
        {
            self.seen.borrow_mut().definitions.push((id, Arc::clone(definition)));
        }
        Ok(definition)
    }
}

impl View for SnapshotView<'_> {
    async fn version(&self, root: JobId) -> Result<Version> {
        if let Some(version) = self.cache.version_at(self.snapshot.epoch, root) {
            return Ok(version);
        }
        let version = self.get(&self.tables.index, &keys::version(root), "version")?.unwrap_or(0);
        // Trees that do not exist are not cached.
        if version > 0 && self.seen.borrow().versions.len() < SEEN {
            self.seen.borrow_mut().versions.push((root, version));
        }
        Ok(version)
    }

    async fn tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        self.get(&self.tables.index, &keys::tombstone(root), "tombstone")
    }

    async fn node(&self, id: JobId) -> Result<Option<Node>> {
        let Some(origin) = self.origin(id)? else { return Ok(None) };
        let status = self.status(id, origin.parent)?;
        Ok(status.map(|status| Node { origin, status }))
    }

    async fn definition(
        &self,
        id: JobId,
        parent: Option<JobId>,
    ) -> Result<Option<Arc<Definition>>> {
        self.read_definition(id, parent)
    }

    async fn change(&self, id: JobId, number: u32) -> Result<Option<Change>> {
        if self.hides(id)? {
            return Ok(None);
        }
        self.get(&self.tables.history, &keys::change(id, number), "change")
    }

    async fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        if self.hides(id)? {
            return Ok(None);
        }
        self.get(&self.tables.history, &keys::repeat(id, key), "repeat")
    }

    async fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        // No attachment has such a key, and the engine has a limit of its own for keys.
        if key.len() > jobtracker_model::limits::ATTACHMENT_KEY || self.hides(id)? {
            return Ok(None);
        }
        let key = keys::attachment(id, key);
        tables::bytes(&self.snapshot.rows, &self.tables.history, &key)?
            .map(|value| coding::decode_text("attachment", &value))
            .transpose()
    }

    async fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        if self.hides(id)? {
            return Ok(None);
        }
        let read = || self.get(&self.tables.history, &keys::follow_up(id, key), "follow-up");
        if key != FollowUpKey::Watch {
            return read();
        }
        if let Some(watch) = self.cache.watch_at(self.snapshot.epoch, id) {
            return Ok(Some(FollowUp::Watch(watch)));
        }
        let found = read()?;
        if let Some(FollowUp::Watch(watch)) = &found
            && self.seen.borrow().watches.len() < SEEN
        {
            self.seen.borrow_mut().watches.push((id, watch.clone()));
        }
        Ok(found)
    }

    async fn tree_result(&self, upload: &UploadId, root: JobId) -> Result<Option<TreeResultRow>> {
        self.get(&self.tables.index, &keys::tree_result(upload, root), "tree result")
    }

    fn children(
        &self,
        parent: Parent,
        after: Option<JobId>,
        order: Order,
        selection: Selection,
    ) -> impl Stream<Item = Result<Child>> {
        let behind = (after, order);
        match selection.index() {
            None => {
                let children = self.whole_children(parent.id, behind, selection);
                Either::Left(stream::iter(children))
            }
            Some(index) => {
                let children = self.indexed_children(parent.id, index, behind, selection);
                Either::Right(stream::iter(children))
            }
        }
    }

    fn child_ids(&self, parent: Parent, after: Option<JobId>) -> impl Stream<Item = Result<JobId>> {
        // Each has two rows.
        let rows = self.child_rows(parent.id, (after, Order::Oldest));
        stream::iter(rows.step_by(2).map(|row| Ok(row?.0)))
    }

    fn changes(&self, id: JobId, from: u32) -> impl Stream<Item = Result<(u32, Change)>> {
        let (first, last) = (keys::change(id, from), keys::change(id, u32::MAX));
        stream::iter(self.scan(&self.tables.history, &first, &last).map(|row| {
            let (key, value) = row?;
            Ok((keys::number_of(&key)?, coding::decode("change", &value)?))
        }))
    }

    fn log(&self, id: JobId, from: u32) -> impl Stream<Item = Result<LogLine>> {
        let (first, last) = (keys::log_line(id, from), keys::log_line(id, u32::MAX));
        stream::iter(self.scan(&self.tables.history, &first, &last).map(|row| {
            let (key, value) = row?;
            let line: LineRow<'static> = coding::decode("line of a log", &value)?;
            Ok(line.numbered(keys::number_of(&key)?))
        }))
    }

    fn repeats(&self, id: JobId) -> impl Stream<Item = Result<(Repeat, RepeatRow)>> {
        stream::iter(self.prefixed(&self.tables.history, &keys::repeats(id)).map(|row| {
            let (key, value) = row?;
            Ok((keys::repeat_name(&key)?, coding::decode("repeat", &value)?))
        }))
    }

    fn attachments(&self, id: JobId) -> impl Stream<Item = Result<(String, usize)>> {
        stream::iter(self.prefixed(&self.tables.history, &keys::attachments(id)).map(|row| {
            let (key, value) = row?;
            Ok((keys::attachment_name(&key)?, coding::text_len("attachment", &value)?))
        }))
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
    ) -> impl Stream<Item = Result<(FollowUpKey, FollowUp)>> {
        let (first, last) = (keys::follow_up(id, from), keys::last_follow_up(id));
        stream::iter(self.scan(&self.tables.history, &first, &last).map(|row| {
            let (key, value) = row?;
            Ok((keys::follow_up_key(&key)?, coding::decode("follow-up", &value)?))
        }))
    }
}

impl Lists for SnapshotView<'_> {
    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        order: Order,
        after: Option<RootKey>,
    ) -> impl Stream<Item = Result<RootKey>> {
        let range = keys::roots(from, to, order, after);
        let rows = range.map(|(first, last)| self.scan(&self.tables.index, &first, &last));
        let mut rows = rows.into_iter().flatten();
        // The newest have the smallest keys.
        let next = move || match order {
            Order::Newest => rows.next(),
            Order::Oldest => rows.next_back(),
        };
        let roots = iter::from_fn(next).map(|row| keys::root_key(&row?.0));
        // A stage has one root at most, so roots form no run of hidden ids.
        let is_hidden = |root: &RootKey| self.snapshot.hidden.has(root.id);
        stream::iter(roots.filter(move |root| !root.as_ref().is_ok_and(is_hidden)))
    }

    fn index(&self, index: IndexId, from: IndexKey) -> impl Stream<Item = Result<IndexKey>> {
        let known = self.snapshot.low_water.of(index);
        let first = keys::entry(index, from.max(known));
        let mut rows = self.scan(&self.tables.index, &first, &keys::last_entry(index));
        let mut is_begun = from > known;
        let mut next = move || {
            loop {
                let row = rows.next().transpose()?;
                let place = row.map(|(key, _)| keys::entry_key(&key)).transpose()?;
                // It was read from its begin, and begins here.
                if !is_begun && place != Some(known) {
                    self.cache.keep_first(self.snapshot.epoch, index, place);
                }
                is_begun = true;
                let Some(entry) = place else { return Ok(None) };
                if !self.hides(entry.id)? {
                    return Ok(place);
                }
            }
        };
        stream::iter(iter::from_fn(move || next().transpose()))
    }

    fn tree_results(
        &self,
        upload: &UploadId,
        after: Option<JobId>,
    ) -> impl Stream<Item = Result<TreeResultRow>> {
        let (first, last) = keys::tree_results(upload, after);
        let rows = self.scan(&self.tables.index, &first, &last);
        stream::iter(rows.map(|row| coding::decode("tree result", &row?.1)))
    }
}

fn half_a_job(id: JobId) -> Error {
    Error::Corrupt(format!("job {id} has a definition without a status, or a status without one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fjall::{FjallOptions, snapshot::Present};

    #[test]
    fn a_long_read_remembers_only_so_much() {
        let directory = tempfile::tempdir().unwrap();
        let options = FjallOptions::new(directory.path());
        let tables = Tables::open(directory.path(), &options).unwrap();
        let ids = (1..=SEEN as u64 + 100).map(|id| JobId::new(id).unwrap());
        let mut batch = tables.batch(0);
        let mut buffer = Vec::new();
        for id in ids.clone() {
            let fingerprint = Definition::default().fingerprint(None);
            let origin = Origin { parent: None, root: id, depth: 0, fingerprint };
            let (status, _) = Status::created(id, Timestamp::from_millis(0).unwrap());
            let origin = Slice::from(coding::encode(&origin, &mut buffer).unwrap());
            batch.insert(&tables.origins, keys::origin(id), origin);
            let status = Slice::from(coding::encode(&status, &mut buffer).unwrap());
            batch.insert(&tables.jobs, &keys::job(None, id, Part::Status)[..], status);
        }
        batch.commit().unwrap();
        let cache = HotCache::new(&options, Present::of_jobs(&tables, u64::MAX));
        let view = SnapshotView::new(&tables, &cache);
        for id in ids {
            assert!(view.origin(id).unwrap().is_some());
            assert!(view.status(id, None).unwrap().is_some());
        }
        assert_eq!(view.seen.borrow().nodes.len(), SEEN);
        assert!(view.origins.borrow().len() <= SEEN);
    }
}
