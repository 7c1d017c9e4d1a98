use std::{cell::RefCell, collections::HashMap, ops::ControlFlow, sync::Arc};

use fjall::{Keyspace, Readable, Slice};
use jobtracker_model::{Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status};

use super::{
    coding::{self, LineRow},
    failure,
    front::{Front, Moment, Seen},
    keys::{self, Part},
    tables::{self, Tables},
};
use crate::{
    Error, Node, Origin, RepeatRow, Result, RootKey, Version, View,
    view::{Child, ChildIndex, Visit},
};

/// Rows that one read may bring into the caches; more are not worth their time.
const SEEN: usize = 4096;

/// The rows of one moment: from the front where it has them, from the tables otherwise.
pub struct MomentView<'a> {
    tables: &'a Tables,
    front: &'a Front,
    moment: Moment,
    seen: RefCell<Seen>,
    /// Origins whose status may be asked for next.
    origins: RefCell<HashMap<JobId, Origin>>,
}

impl<'a> MomentView<'a> {
    pub fn new(tables: &'a Tables, front: &'a Front) -> Self {
        let moment = front.now();
        Self { tables, front, moment, seen: RefCell::default(), origins: RefCell::default() }
    }

    /// Leaves what was read to the next one who asks.
    pub fn finish(self) {
        self.front.keep(self.moment.epoch, self.seen.into_inner());
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        keyspace: &Keyspace,
        key: &[u8],
        what: &str,
    ) -> Result<Option<T>> {
        tables::get(&self.moment.snapshot, keyspace, key, what)
    }

    /// Gives every row from `first` to `last` to a visitor until it has enough.
    fn scan(
        &self,
        keyspace: &Keyspace,
        first: &[u8],
        last: &[u8],
        mut visit: impl FnMut(&[u8], &Slice) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for row in self.moment.snapshot.range(keyspace, first..=last) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl View for MomentView<'_> {
    fn version(&self, root: JobId) -> Result<Version> {
        if let Some(version) = self.front.version_at(self.moment.epoch, root) {
            return Ok(version);
        }
        let version = self.get(&self.tables.index, &keys::version(root), "version")?.unwrap_or(0);
        // Trees that are not there are not worth a place.
        if version > 0 && self.seen.borrow().versions.len() < SEEN {
            self.seen.borrow_mut().versions.push((root, version));
        }
        Ok(version)
    }

    fn origin(&self, id: JobId) -> Result<Option<Origin>> {
        if id.get() > self.moment.max_id {
            return Ok(None);
        }
        if let Some(node) = self.front.node_at(self.moment.epoch, id) {
            return Ok(Some(node.origin));
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
        if let Some(node) = self.front.node_at(self.moment.epoch, id)
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
        if let Some(definition) = self.front.definition_at(self.moment.epoch, id) {
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
        let (first, last) = keys::children(parent, after);
        let mut half: Option<(JobId, Arc<Definition>)> = None;
        self.scan(&self.tables.jobs, &first, &last, |key, value| {
            let (id, part) = keys::child(key)?;
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
        let (first, last) = keys::indexed_behind(index, parent, after);
        self.scan(&self.tables.index, &first, &last, |key, _| Ok(visit(keys::indexed_id(key)?)))
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
        self.get(&self.tables.history, &keys::repeat(id, key), "repeat")
    }

    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        // Nothing is kept under such keys, and the engine has a limit of its own for them.
        if key.len() > jobtracker_model::limits::ATTACHMENT_KEY {
            return Ok(None);
        }
        let key = keys::attachment(id, key);
        tables::bytes(&self.moment.snapshot, &self.tables.history, &key)?
            .map(|value| coding::decode_text("attachment", &value))
            .transpose()
    }

    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()> {
        for row in self.moment.snapshot.prefix(&self.tables.history, keys::attachments(id)) {
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
        self.scan(&self.tables.index, &first, &last, |key, _| Ok(visit(keys::root_key(key)?)))
    }
}

fn half_a_job(id: JobId) -> Error {
    Error::Corrupt(format!("job {id} has a definition without a status, or a status without one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fjall::FjallOptions;

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
            let origin = coding::encode(&origin, &mut buffer).unwrap();
            batch.insert(&tables.origins, keys::origin(id), origin);
            let status = coding::encode(&status, &mut buffer).unwrap();
            batch.insert(&tables.jobs, &keys::job(None, id, Part::Status)[..], status);
        }
        batch.commit().unwrap();
        let front = Front::new(&options, tables.database.snapshot(), u64::MAX);
        let view = MomentView::new(&tables, &front);
        for id in ids {
            assert!(view.origin(id).unwrap().is_some());
            assert!(view.status(id, None).unwrap().is_some());
        }
        assert_eq!(view.seen.borrow().nodes.len(), SEEN);
        assert!(view.origins.borrow().len() <= SEEN);
    }
}
