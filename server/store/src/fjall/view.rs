use std::{cell::RefCell, collections::HashMap, ops::ControlFlow, sync::Arc};

use fjall::{Keyspace, Readable, Slice};
use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};

use super::{
    failure, follow_ups,
    hot_cache::{HotCache, Seen},
    keys::{self, Key, Part},
    snapshot::Snapshot,
    tables::{self, Tables},
};
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Node, Origin, RepeatRow, Result, RootKey,
    TreeResultRow, UploadRow, Version, View,
    coding::{self, LineRow},
    view::{Child, ChildIndex, Visit},
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

impl<'a> SnapshotView<'a> {
    pub fn new(tables: &'a Tables, cache: &'a HotCache) -> Self {
        let snapshot = cache.now();
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

    /// Gives every row from `first` to `last` to a visitor until it has enough.
    fn scan(
        &self,
        keyspace: &Keyspace,
        first: &[u8],
        last: &[u8],
        mut visit: impl FnMut(&[u8], &Slice) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for row in self.snapshot.rows.range(keyspace, first..=last) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Gives the rows of the visible ones of those children to a visitor. `range` tells the first
    /// and the last key behind a child, `child` the child of a key.
    fn scan_children(
        &self,
        keyspace: &Keyspace,
        after: Option<JobId>,
        range: impl Fn(Option<JobId>) -> (Key, Key),
        child: impl Fn(&[u8]) -> Result<JobId>,
        mut visit: impl FnMut(JobId, &[u8], &Slice) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut next = Some(after);
        while let Some(after) = next.take() {
            let (first, last) = range(after);
            // The end of the run of hidden ids that the scan is in.
            let mut run = None;
            self.scan(keyspace, &first, &last, |key, value| {
                let id = child(key)?;
                if run.is_some_and(|end| id <= end) {
                    return Ok(ControlFlow::Continue(()));
                }
                run = self.snapshot.hidden.run_end(id);
                match run {
                    None => visit(id, key, value),
                    Some(end) if end.get() - id.get() < WORTH_A_SEEK => {
                        Ok(ControlFlow::Continue(()))
                    }
                    Some(end) => {
                        next = Some(Some(end));
                        Ok(ControlFlow::Break(()))
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Whether a job is hidden.
    fn hides(&self, id: JobId) -> bool {
        self.snapshot.hidden.has(id)
    }
}

impl View for SnapshotView<'_> {
    fn version(&self, root: JobId) -> Result<Version> {
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

    fn origin(&self, id: JobId) -> Result<Option<Origin>> {
        if id.get() > self.snapshot.max_id {
            return Ok(None);
        }
        if let Some(node) = self.cache.node_at(self.snapshot.epoch, id) {
            return Ok(Some(node.origin));
        }
        // Without its origin, a reader reaches nothing else of the job.
        if self.hides(id) {
            return Ok(None);
        }
        let origin = self.get(&self.tables.origins, &keys::origin(id), "origin")?;
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

    fn definition(&self, id: JobId, parent: Option<JobId>) -> Result<Option<Arc<Definition>>> {
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

    fn children(&self, parent: JobId, after: Option<JobId>, visit: Visit<Child>) -> Result<()> {
        let range = |after| keys::children(parent, after);
        let mut half: Option<(JobId, Arc<Definition>)> = None;
        let child = |key: &[u8]| Ok(keys::child(key)?.0);
        self.scan_children(&self.tables.jobs, after, range, child, |id, key, value| {
            let (_, part) = keys::child(key)?;
            match (part, half.take()) {
                (Part::Definition, None) => {
                    half = Some((id, Arc::new(coding::decode("definition", value)?)));
                    Ok(ControlFlow::Continue(()))
                }
                (Part::Status, Some((first, definition))) if first == id => {
                    let status = coding::decode("status", value)?;
                    Ok(visit(Child { id, definition, status }))
                }
                (_, _) => Err(half_a_job(id)),
            }
        })?;
        half.map_or(Ok(()), |(id, _)| Err(half_a_job(id)))
    }

    fn indexed(
        &self,
        parent: JobId,
        index: ChildIndex,
        after: Option<JobId>,
        visit: Visit<JobId>,
    ) -> Result<()> {
        let range = |after| keys::indexed_behind(index, parent, after);
        let rows = &self.tables.index;
        self.scan_children(rows, after, range, keys::indexed_id, |id, _, _| Ok(visit(id)))
    }

    fn changes(&self, id: JobId, from: u32, visit: Visit<(u32, Change)>) -> Result<()> {
        let (first, last) = (keys::change(id, from), keys::change(id, u32::MAX));
        self.scan(&self.tables.history, &first, &last, |key, value| {
            Ok(visit((keys::number_of(key)?, coding::decode("change", value)?)))
        })
    }

    fn log(&self, id: JobId, from: u32, visit: Visit<LogLine>) -> Result<()> {
        let (first, last) = (keys::log_line(id, from), keys::log_line(id, u32::MAX));
        self.scan(&self.tables.history, &first, &last, |key, value| {
            let line: LineRow = coding::decode("line of a log", value)?;
            Ok(visit(line.numbered(keys::number_of(key)?)))
        })
    }

    fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        if self.hides(id) {
            return Ok(None);
        }
        self.get(&self.tables.history, &keys::repeat(id, key), "repeat")
    }

    fn repeats(&self, id: JobId, visit: Visit<(Repeat, RepeatRow)>) -> Result<()> {
        for row in self.snapshot.rows.prefix(&self.tables.history, keys::repeats(id)) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            if visit((keys::repeat_name(&key)?, coding::decode("repeat", &value)?)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        // No attachment has such a key, and the engine has a limit of its own for keys.
        if key.len() > jobtracker_model::limits::ATTACHMENT_KEY || self.hides(id) {
            return Ok(None);
        }
        let key = keys::attachment(id, key);
        tables::bytes(&self.snapshot.rows, &self.tables.history, &key)?
            .map(|value| coding::decode_text("attachment", &value))
            .transpose()
    }

    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()> {
        for row in self.snapshot.rows.prefix(&self.tables.history, keys::attachments(id)) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            let size = coding::text_len("attachment", &value)?;
            if visit((keys::attachment_name(&key)?, size)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<RootKey>,
        visit: Visit<RootKey>,
    ) -> Result<()> {
        let Some((first, last)) = keys::roots(from, to, after) else { return Ok(()) };
        self.scan(&self.tables.index, &first, &last, |key, _| {
            let root = keys::root_key(key)?;
            // A stage has one root at most, so roots form no run of hidden ids.
            if self.hides(root.id) { Ok(ControlFlow::Continue(())) } else { Ok(visit(root)) }
        })
    }

    fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        if self.hides(id) {
            return Ok(None);
        }
        let read = || self.get(&self.tables.history, &follow_ups::row(id, key), "follow-up");
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

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        let (first, last) = (follow_ups::row(id, from), follow_ups::last_row(id));
        self.scan(&self.tables.history, &first, &last, |key, value| {
            Ok(visit((follow_ups::row_key(key)?, coding::decode("follow-up", value)?)))
        })
    }

    fn index(&self, index: IndexId, from: IndexKey, visit: Visit<IndexKey>) -> Result<()> {
        let known = self.snapshot.low_water.of(index);
        let mut read = None;
        let first = follow_ups::place(index, from.max(known));
        self.scan(&self.tables.index, &first, &follow_ups::last_place(index), |key, _| {
            let place = follow_ups::place_key(key)?;
            read.get_or_insert(place);
            if self.hides(place.id) { Ok(ControlFlow::Continue(())) } else { Ok(visit(place)) }
        })?;
        if from <= known && read != Some(known) {
            self.cache.keep_first(self.snapshot.epoch, index, read);
        }
        Ok(())
    }

    fn tree_result(&self, commit: &UploadId, root: JobId) -> Result<Option<TreeResultRow>> {
        self.get(&self.tables.index, &keys::tree_result(commit, root), "tree result")
    }

    fn tree_results(
        &self,
        commit: &UploadId,
        after: Option<JobId>,
        visit: Visit<TreeResultRow>,
    ) -> Result<()> {
        let (first, last) = keys::tree_results(commit, after);
        self.scan(&self.tables.index, &first, &last, |_, value| {
            Ok(visit(coding::decode("tree result", value)?))
        })
    }

    fn completed(&self, commit: &UploadId) -> Result<Option<UploadRow>> {
        self.get(&self.tables.index, &keys::completed(commit), "completed commit")
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
