//! A tree at one moment, for the lists that are made of it.

mod details;
mod follow_ups;
mod history;
mod moment;
mod pages;

use std::{cell::RefCell, collections::HashMap, ops::ControlFlow, sync::Arc};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, commit::CommitId, rollup::Status,
};
use tokio::runtime::Handle;

pub use details::Sought;
pub use moment::{Known, Moment, TRIES, moves_on, steadily};

use super::trees::Place;
use crate::{
    Agenda, AgendaKey, CommitRow, Error, FollowUp, FollowUpKey, Origin, RepeatRow, Result, RootKey,
    VerdictRow, Version, View,
    view::{Child, ChildIndex, Visit},
};

/// A tree at one moment, as [`View`] has it: each call reads what it needs and waits for it, so it
/// is for threads that may wait. Jobs of other trees are not there.
///
/// It answers [`Error::Stale`] when the tables have gone on to what came after that moment.
pub struct Snapshot {
    moment: Moment,
    runtime: Handle,
    /// Jobs that are being looked at, and what was asked for by itself.
    held: RefCell<HashMap<JobId, Held>>,
    /// Children that were read before anybody came to their parents.
    ahead: RefCell<HashMap<JobId, pages::Ahead>>,
    /// Which jobs the list will look below of.
    goes_below: Option<GoesBelow>,
}

type GoesBelow = Box<dyn Fn(&Status) -> bool>;

/// What is known of a job.
#[derive(Clone)]
struct Held {
    place: Place,
    status: Status,
    definition: Option<Arc<Definition>>,
}

impl Snapshot {
    pub fn new(moment: Moment, runtime: Handle) -> Self {
        let (held, ahead) = (RefCell::default(), RefCell::default());
        Self { moment, runtime, held, ahead, goes_below: None }
    }

    /// The same for a list that will look below all children of which this is true, so that it is
    /// worth while to read several children's children at once.
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

    fn place(&self, id: JobId) -> Result<Option<Place>> {
        if let Some(held) = self.held.borrow().get(&id) {
            return Ok(Some(held.place));
        }
        let found = match self.moment.place(id) {
            Some(place) => Some(place),
            None => self.wait(self.moment.find(&[id]))?.remove(&id),
        };
        Ok(found.filter(|place| place.origin.root == self.moment.tail.root))
    }

    /// The status of a job, if that takes no read.
    fn known_status(&self, id: JobId) -> Option<Status> {
        let held = self.held.borrow().get(&id).map(|held| held.status.clone());
        held.or_else(|| self.moment.status(id))
    }

    fn read(&self, id: JobId, definition: bool) -> Result<Option<Held>> {
        if let Some(held) = self.held(id)
            && (!definition || held.definition.is_some())
        {
            return Ok(Some(held));
        }
        let Some(place) = self.place(id)? else { return Ok(None) };
        let read = self.wait(self.moment.read(&[(id, place, definition)]))?.remove(&id);
        let Some(Known { status, definition }) = read else { return Ok(None) };
        let held = Held { place, status, definition };
        self.held.borrow_mut().insert(id, held.clone());
        Ok(Some(held))
    }

    /// Shows a job to a visitor; whatever the visitor asks of it is at hand meanwhile.
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
        let tail = &self.moment.tail;
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
        Ok(self.wait(self.moment.appends(&[sought]))?.into_values().next())
    }

    fn repeats(&self, id: JobId, visit: Visit<(Repeat, RepeatRow)>) -> Result<()> {
        let Some(Held { place, .. }) = self.read(id, false)? else { return Ok(()) };
        for row in self.wait(self.moment.repeats(id, place))? {
            if visit(row) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let Some(place) = self.place(id)? else { return Ok(None) };
        self.wait(self.moment.attachment(id, place, key))
    }

    fn attachments(&self, id: JobId, visit: Visit<(String, usize)>) -> Result<()> {
        let Some(place) = self.place(id)? else { return Ok(()) };
        for row in self.wait(self.moment.attachments(id, place))? {
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
        self.wait(self.moment.follow_up(id, place, key))
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
        visit: Visit<(FollowUpKey, FollowUp)>,
    ) -> Result<()> {
        self.walk_follow_ups(id, from, visit)
    }

    fn agenda(&self, _: Agenda, _: AgendaKey, _: Visit<AgendaKey>) -> Result<()> {
        Err(elsewhere())
    }

    fn verdict(&self, _: &CommitId, _: JobId) -> Result<Option<VerdictRow>> {
        Err(elsewhere())
    }

    fn verdicts(&self, _: &CommitId, _: Option<JobId>, _: Visit<VerdictRow>) -> Result<()> {
        Err(elsewhere())
    }

    fn concluded(&self, _: &CommitId) -> Result<Option<CommitRow>> {
        Err(elsewhere())
    }
}

/// What is not in a tree. Nobody asks a tree for it.
fn elsewhere() -> Error {
    Error::Unavailable("this is not kept in a tree".into())
}
