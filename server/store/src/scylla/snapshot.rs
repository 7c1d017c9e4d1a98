//! A tree at one snapshot, for the lists that are made of it.

mod details;
mod follow_ups;
mod history;
mod pages;
mod pinned;

use std::{cell::RefCell, collections::HashMap, ops::ControlFlow, sync::Arc};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};
use tokio::runtime::Handle;

pub use details::Sought;
pub use pinned::{Known, PinnedTree, TRIES, moves_on, steadily};

use super::trees::Location;
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Origin, RepeatRow, Result, RootKey,
    TreeResultRow, UploadRow, Version, View,
    view::{Child, ChildIndex, Visit},
};

/// A tree at one snapshot, as [`View`] has it: each call reads what it needs and waits for it, so
/// it is for threads that may wait. Jobs of other trees are not there.
///
/// It answers [`Error::Stale`] when the tables have gone on to what came after the snapshot.
pub struct Snapshot {
    pinned: PinnedTree,
    runtime: Handle,
    /// Jobs that are being visited, and jobs that were asked for by themselves.
    held: RefCell<HashMap<JobId, Held>>,
    /// Children that were read before the list came to their parents.
    ahead: RefCell<HashMap<JobId, pages::Ahead>>,
    /// Which jobs the list will go below.
    goes_below: Option<GoesBelow>,
}

type GoesBelow = Box<dyn Fn(&Status) -> bool>;

/// What is known of a job.
#[derive(Clone)]
struct Held {
    place: Location,
    status: Status,
    definition: Option<Arc<Definition>>,
}

impl Snapshot {
    pub fn new(pinned: PinnedTree, runtime: Handle) -> Self {
        let (held, ahead) = (RefCell::default(), RefCell::default());
        Self { pinned, runtime, held, ahead, goes_below: None }
    }

    /// The same for a list that will go below all children of which this is true, so that it pays
    /// to read several children's children at once.
    pub fn going_below(self, goes_below: impl Fn(&Status) -> bool + 'static) -> Self {
        Self { goes_below: Some(Box::new(goes_below)), ..self }
    }

    /// Waits for a read.
    fn wait<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(read)
    }

    fn held(&self, id: JobId) -> Option<Held> {
        self.held.borrow().get(&id).cloned()
    }

    fn place(&self, id: JobId) -> Result<Option<Location>> {
        if let Some(held) = self.held.borrow().get(&id) {
            return Ok(Some(held.place));
        }
        let found = match self.pinned.place(id) {
            Some(place) => Some(place),
            None => self.wait(self.pinned.find(&[id]))?.remove(&id),
        };
        Ok(found.filter(|place| place.origin.root == self.pinned.tail.root))
    }

    /// The status of a job, if that takes no read.
    fn known_status(&self, id: JobId) -> Option<Status> {
        let held = self.held.borrow().get(&id).map(|held| held.status.clone());
        held.or_else(|| self.pinned.status(id))
    }

    fn read(&self, id: JobId, definition: bool) -> Result<Option<Held>> {
        if let Some(held) = self.held(id)
            && (!definition || held.definition.is_some())
        {
            return Ok(Some(held));
        }
        let Some(place) = self.place(id)? else { return Ok(None) };
        let read = self.wait(self.pinned.read(&[(id, place, definition)]))?.remove(&id);
        let Some(Known { status, definition }) = read else { return Ok(None) };
        let held = Held { place, status, definition };
        self.held.borrow_mut().insert(id, held.clone());
        Ok(Some(held))
    }

    /// Shows a job to a visitor; what the visitor asks of it is in memory meanwhile.
    fn show<T>(&self, id: JobId, held: &Held, visit: impl FnOnce(&Held) -> Result<T>) -> Result<T> {
        let before = self.held.borrow_mut().insert(id, held.clone());
        let shown = visit(held);
        let mut all = self.held.borrow_mut();
        match before {
            Some(before) => drop(all.insert(id, before)),
            None => drop(all.remove(&id)),
        }
        shown
    }
}

impl View for Snapshot {
    fn version(&self, root: JobId) -> Result<Version> {
        let tail = &self.pinned.tail;
        Ok(if root == tail.root { tail.version } else { 0 })
    }

    fn origin(&self, id: JobId) -> Result<Option<Origin>> {
        Ok(self.place(id)?.map(|place| place.origin))
    }

    fn status(&self, id: JobId, _: Option<JobId>) -> Result<Option<Status>> {
        match self.known_status(id) {
            Some(status) => Ok(Some(status)),
            None => Ok(self.read(id, false)?.map(|held| held.status)),
        }
    }

    fn definition(&self, id: JobId, _: Option<JobId>) -> Result<Option<Arc<Definition>>> {
        Ok(self.read(id, true)?.and_then(|held| held.definition))
    }

    fn children(&self, parent: JobId, after: Option<JobId>, visit: Visit<Child>) -> Result<()> {
        self.walk_children(parent, after, visit)
    }

    fn indexed(
        &self,
        parent: JobId,
        index: ChildIndex,
        after: Option<JobId>,
        visit: Visit<JobId>,
    ) -> Result<()> {
        self.walk_index(parent, index, after, visit)
    }

    fn changes(&self, id: JobId, from: u32, visit: Visit<(u32, Change)>) -> Result<()> {
        self.walk_changes(id, from, visit)
    }

    fn log(&self, id: JobId, from: u32, visit: Visit<LogLine>) -> Result<()> {
        self.walk_lines(id, from, visit)
    }

    fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        let Some(Held { place, status, .. }) = self.read(id, false)? else { return Ok(None) };
        let sought = Sought { id, place, status: &status, key };
        Ok(self.wait(self.pinned.appends(&[sought]))?.into_values().next())
    }

    fn repeats(&self, id: JobId, visit: Visit<(Repeat, RepeatRow)>) -> Result<()> {
        let Some(Held { place, .. }) = self.read(id, false)? else { return Ok(()) };
        for row in self.wait(self.pinned.repeats(id, place))? {
            if visit(row) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let Some(place) = self.place(id)? else { return Ok(None) };
        self.wait(self.pinned.attachment(id, place, key))
    }

    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()> {
        let Some(place) = self.place(id)? else { return Ok(()) };
        for row in self.wait(self.pinned.attachments(id, place))? {
            if visit(row) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn roots(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: Option<RootKey>,
        _: Visit<RootKey>,
    ) -> Result<()> {
        Err(elsewhere())
    }

    fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        let Some(place) = self.place(id)? else { return Ok(None) };
        self.wait(self.pinned.follow_up(id, place, key))
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        self.walk_follow_ups(id, from, visit)
    }

    fn index(&self, _: IndexId, _: IndexKey, _: Visit<IndexKey>) -> Result<()> {
        Err(elsewhere())
    }

    fn tree_result(&self, _: &UploadId, _: JobId) -> Result<Option<TreeResultRow>> {
        Err(elsewhere())
    }

    fn tree_results(&self, _: &UploadId, _: Option<JobId>, _: Visit<TreeResultRow>) -> Result<()> {
        Err(elsewhere())
    }

    fn completed(&self, _: &UploadId) -> Result<Option<UploadRow>> {
        Err(elsewhere())
    }
}

/// For what is not kept in a tree. No caller asks a tree for it.
fn elsewhere() -> Error {
    Error::Unavailable("this is not kept in a tree".into())
}
