use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{
    Action, Change, Definition, JobId, LogLine, Repeat, State, Timestamp, limits,
    rollup::{Branch, Recorded},
    upload::{Item, Record},
};
use jobtracker_store::{FollowUp, FollowUpKey, Origin, RepeatRow, Row, Watch};
use roaring::RoaringTreemap;

use super::{
    Step,
    existing::Existing,
    follow_ups::{self, Said, Upcoming, Validate},
};
use crate::{Error, Result};

/// The origins of those jobs of a batch of records that the store has already.
pub(super) type There = HashMap<JobId, Origin>;

/// One tree of an upload while its records come in: rows come out as soon as they are known; the
/// path of jobs whose children are still coming stays in memory.
pub(super) struct Assembly {
    pub root: JobId,
    /// The number of the record with which the tree began.
    pub begin: u64,
    pub jobs: u64,
    pub changes: u64,
    /// When the upload began to come in.
    received: Timestamp,
    path: Vec<Open>,
    /// The last creation, until it is clear that no other options follow it.
    opened: Option<Opened>,
    about: About,
    /// Change ids of the new job that the records are about.
    change_ids: HashSet<String>,
    existing: Existing,
    upcoming: Upcoming,
    rows: Vec<Row>,
    bytes: usize,
}

/// A tree whose records have all come.
pub(super) struct Assembled {
    pub rows: Vec<Row>,
    pub steps: Vec<Step>,
    pub upcoming: Upcoming,
}

/// A new job of which only the creation has come.
struct Opened {
    id: JobId,
    origin: Origin,
    definition: Definition,
    actions: Vec<Action>,
}

/// A new job whose children are still coming.
struct Open {
    branch: Branch,
    origin: Origin,
    /// Its follow-ups, if it has any.
    watch: Option<Box<Watch>>,
}

/// Which job the records are about.
#[derive(Clone, Copy)]
enum About {
    NoJob,
    /// The last job of the path.
    New,
    Existing(JobId),
    /// A creation that repeats an existing job exactly.
    Repeated(JobId),
}

/// About what a row takes in memory besides its texts.
const ROW: usize = 250;

impl Assembly {
    pub fn new(root: JobId, begin: u64, received: Timestamp) -> Self {
        Self {
            root,
            begin,
            jobs: 0,
            changes: 0,
            received,
            path: Vec::new(),
            opened: None,
            about: About::NoJob,
            change_ids: HashSet::new(),
            existing: Existing::default(),
            upcoming: Upcoming::default(),
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// About how much memory the rows that have come out take.
    pub fn row_bytes(&self) -> usize {
        self.bytes
    }

    /// About how much memory the tree takes in all.
    pub fn bytes(&self) -> usize {
        self.bytes + self.existing.bytes() + self.upcoming.bytes()
    }

    /// The rows that have come out since the last call.
    pub fn take_rows(&mut self) -> Vec<Row> {
        self.bytes = 0;
        let room = Vec::with_capacity(self.rows.len());
        std::mem::replace(&mut self.rows, room)
    }

    /// Takes a record of the tree. `seen` are the new jobs of the whole upload.
    pub fn take(
        &mut self,
        item: Item,
        seen: &mut RoaringTreemap,
        there: &There,
        validate: Option<&Validate>,
    ) -> Result<()> {
        let position = item.position;
        if !matches!(item.record, Record::Options { .. }) {
            self.settle();
        }
        let taken = match item.record {
            Record::Job { id, parent, order, time, definition } => {
                let at = Recorded { order, time };
                let said = Said::of(definition.into_owned()).checked(parent, validate);
                said.and_then(|said| self.job(id, parent, at, said, seen, there))
            }
            Record::FollowedJob { id, parent, order, time, definition, actions, checks } => {
                let at = Recorded { order, time };
                let (actions, checks) = (actions.into_owned(), checks.into_owned());
                let said = Said { definition: definition.into_owned(), actions, checks };
                let said = said.checked(parent, validate);
                said.and_then(|said| self.job(id, parent, at, said, seen, there))
            }
            Record::Existing { id } => self.existing_job(id, there),
            Record::Change { order, change } => self.change(position, order, change.into_owned()),
            Record::Options { options } => {
                self.options(position, options.map(std::borrow::Cow::into_owned))
            }
            Record::LogLine { time, text } => self.line(position, time, text.into_owned()),
            Record::Header { .. }
            | Record::Tree { .. }
            | Record::TreeEnd { .. }
            | Record::End { .. } => Ok(()),
        };
        taken.map_err(|error| error.at(position))
    }

    /// The tree is complete: returns the last rows, and the steps of existing jobs.
    pub fn finish(mut self) -> Result<Assembled> {
        self.settle();
        while !self.path.is_empty() {
            self.close()?;
        }
        if self.jobs == 0 && self.existing.is_empty() {
            return Err(Error::JobNotFound(self.root).at(self.begin));
        }
        let steps = self.existing.into_steps(self.begin)?;
        Ok(Assembled { rows: self.rows, steps, upcoming: self.upcoming })
    }

    fn job(
        &mut self,
        id: JobId,
        parent: Option<JobId>,
        born: Recorded,
        said: Said,
        seen: &mut RoaringTreemap,
        there: &There,
    ) -> Result<()> {
        if parent == Some(id) {
            return Err(Error::ParentIsSelf(id));
        }
        let fingerprints = said.fingerprints(parent);
        if let Some(origin) = there.get(&id) {
            if !fingerprints.has(origin.fingerprint) || seen.contains(id.get()) {
                return Err(Error::IdConflict(id));
            }
            self.about = About::Repeated(id);
            self.belongs(id, origin)?;
            return self.existing.repeated(id);
        }
        let (root, depth) = self.receiving(id, parent, born, seen, there)?;
        if !seen.insert(id.get()) {
            return Err(Error::DuplicateId(id));
        }
        self.jobs += 1;
        self.about = About::New;
        self.change_ids.clear();
        let origin = Origin { parent, root, depth, fingerprint: fingerprints.own };
        let watch = said.watch(self.received).map(Box::new);
        let branch = Branch::created(id, born);
        self.path.push(Open { branch, origin, watch });
        let Said { definition, actions, checks } = said;
        self.opened = Some(Opened { id, origin, definition, actions });
        self.upcoming.look(id, checks)
    }

    /// Settles the last creation, to which no other record belongs.
    fn settle(&mut self) {
        let Some(Opened { id, origin, definition, actions }) = self.opened.take() else { return };
        let texts = definition.bytes();
        let definition = Arc::new(definition);
        self.push(Row::Job { id, origin, definition }, texts);
        for (number, action) in (0..).zip(actions) {
            let (key, texts) = (FollowUpKey::Action(number), action.bytes());
            self.push(follow_ups::row(id, key, FollowUp::Action(Arc::new(action))), texts);
        }
    }

    /// The root and depth of a new job. Closes the jobs of the path that are not above it.
    fn receiving(
        &mut self,
        id: JobId,
        parent: Option<JobId>,
        born: Recorded,
        seen: &RoaringTreemap,
        there: &There,
    ) -> Result<(JobId, u32)> {
        let Some(parent) = parent else {
            let first = self.jobs == 0 && self.existing.is_empty();
            return if id == self.root && first { Ok((id, 0)) } else { Err(Error::OtherTree(id)) };
        };
        let depth = match self.path.iter().rposition(|open| open.branch.id() == parent) {
            Some(above) => {
                if born.order <= self.path[above].branch.born() {
                    return Err(Error::OutOfOrder(id));
                }
                while self.path.len() > above + 1 {
                    self.close()?;
                }
                self.path[above].origin.depth
            }
            None => {
                let origin = match there.get(&parent) {
                    Some(origin) => origin,
                    None if seen.contains(parent.get()) => {
                        return Err(Error::ParentAfterChild(id));
                    }
                    None => return Err(Error::ParentNotFound(parent)),
                };
                self.belongs(parent, origin)?;
                while !self.path.is_empty() {
                    self.close()?;
                }
                origin.depth
            }
        };
        if depth >= limits::DEPTH {
            return Err(Error::TooDeep(parent));
        }
        Ok((self.root, depth + 1))
    }

    fn existing_job(&mut self, id: JobId, there: &There) -> Result<()> {
        let origin = there.get(&id).ok_or(Error::JobNotFound(id))?;
        self.belongs(id, origin)?;
        self.about = About::Existing(id);
        self.existing.job(id)
    }

    fn change(&mut self, position: u64, order: u64, change: Change) -> Result<()> {
        let id = match self.about {
            About::NoJob => return Err(Error::JobNotFound(self.root)),
            // New branches below existing jobs have been summed up between reports already.
            About::Repeated(id) if !self.existing.takes_reports() => {
                return Err(Error::IdConflict(id));
            }
            About::Existing(id) | About::Repeated(id) => {
                return self.existing.report(position, id, order, change);
            }
            About::New => self.path.last().map_or(self.root, |open| open.branch.id()),
        };
        if change.state == State::WaitingForActivation {
            return Err(Error::StateNotAllowed(change.state));
        }
        let change = change.shortened();
        change.check()?;
        let Some(Open { branch, .. }) = self.path.last_mut() else { return Ok(()) };
        if order <= branch.last() {
            return Err(Error::OutOfOrder(id));
        }
        let number = branch.changes();
        if !change.state.has_room_after(number) {
            return Err(Error::TooManyChanges(id));
        }
        branch.report(change.state, Recorded { order, time: change.time });
        self.changes += 1;
        if let Some(name) = change.change_id.clone() {
            if !self.change_ids.insert(name.clone()) {
                return Err(Error::RepeatConflict { id, repeat: name });
            }
            let fingerprint = change.fingerprint();
            let row = RepeatRow { first: number, count: 1, fingerprint };
            self.push(Row::Repeat { id, key: Repeat::Change(name), row }, 0);
        }
        let texts = change.message.as_ref().map_or(0, String::len);
        self.push(Row::Change { id, number, change }, texts);
        Ok(())
    }

    fn options(&mut self, position: u64, options: Option<String>) -> Result<()> {
        Definition::check_options(options.as_deref())?;
        match self.about {
            About::Existing(id) | About::Repeated(id) => {
                self.existing.options(position, id, options)
            }
            About::NoJob | About::New => match &mut self.opened {
                Some(opened) => {
                    opened.definition.options = options;
                    Ok(())
                }
                None => {
                    let job = self.path.last().map_or(self.root, |open| open.branch.id());
                    Err(Error::OutOfOrder(job))
                }
            },
        }
    }

    fn line(&mut self, position: u64, time: Timestamp, text: String) -> Result<()> {
        LogLine::check("text", &text)?;
        match self.about {
            About::Existing(id) | About::Repeated(id) => {
                return self.existing.line(position, id, time, text);
            }
            About::NoJob | About::New => {}
        }
        let Some(Open { branch, .. }) = self.path.last_mut() else { return Ok(()) };
        let (id, line) = (branch.id(), branch.log_lines());
        if line >= limits::LOG_LINES {
            return Err(Error::LogFull(id));
        }
        branch.append_line();
        let bytes = text.len();
        let line = LogLine { line, time, attempt: None, text };
        self.push(Row::LogLine { id, line }, bytes);
        Ok(())
    }

    /// Closes the last job of the path, which has all its children.
    fn close(&mut self) -> Result<()> {
        let Some(Open { branch, origin, watch }) = self.path.pop() else { return Ok(()) };
        let mut grown = branch.grown();
        if let Some(mut watch) = watch {
            grown.status.flags.followed = true;
            watch.deliveries = self.upcoming.tell(&grown, &watch.actions)?;
            let watch = FollowUp::Watch(*watch);
            self.push(follow_ups::row(grown.id, FollowUpKey::Watch, watch), 0);
        }
        match (self.path.last_mut(), origin.parent) {
            (Some(above), _) => above.branch.absorb(&grown),
            (None, Some(parent)) => self.existing.grow(parent, &grown)?,
            (None, None) => {}
        }
        let (id, parent) = (grown.id, origin.parent);
        self.push(Row::Status { id, parent, before: None, status: grown.status }, 0);
        Ok(())
    }

    fn belongs(&self, id: JobId, origin: &Origin) -> Result<()> {
        if origin.root == self.root { Ok(()) } else { Err(Error::OtherTree(id)) }
    }

    fn push(&mut self, row: Row, texts: usize) {
        self.bytes += ROW + texts;
        self.rows.push(row);
    }
}
