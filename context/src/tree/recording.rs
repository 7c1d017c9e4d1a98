use std::{borrow::Cow, sync::Arc};

use dashmap::Entry as Slot;
use jobtracker_model::{
    Change, Definition, JobId, JobNode, NewChange, Repeat, Standing, State, Timestamp, Updated,
    limits,
    rollup::{Status, StatusDelta},
    upload::{TREE_UPCOMING, TREE_UPCOMING_BYTES},
};

use super::{NONE, Node, Note, Noted, Tree, TreeState};
use crate::{
    Error, Result,
    budget::Cost,
    buffer::{Buffer, JobAddress},
    follow_ups::{FollowUps, Upcoming},
    journal::Entry,
};

/// A job of a locked tree, about which an operation is to be recorded.
pub(crate) struct Recording<'a> {
    pub buffer: &'a Buffer,
    pub tree: &'a Arc<Tree>,
    pub state: &'a mut TreeState,
    pub slot: u32,
    /// The path that was loaded for it, until the journal has it.
    pub base: Option<&'a [JobNode]>,
}

/// A job to create.
pub(crate) struct Creation {
    pub id: JobId,
    pub parent: Option<JobId>,
    pub definition: Arc<Definition>,
    pub follow_ups: Option<Arc<FollowUps>>,
    pub cost: Cost,
}

/// The outcome of a creation.
pub(crate) enum Planted {
    New,
    /// Another job has this id. The creation comes back.
    Taken(Creation),
}

impl Recording<'_> {
    /// Creates a child of the job.
    pub fn create_child(&mut self, creation: Creation, time: Timestamp) -> Result<Planted> {
        let more = creation.follow_ups.as_ref().map(|these| these.upcoming_checks());
        let has_room = self.has_room_to_follow(more.unwrap_or_default());
        if self.state.new_jobs >= limits::COMMIT_JOBS || !has_room {
            return Err(Error::TreeFull(self.tree.root));
        }
        self.create_below(creation, time)
    }

    /// The same, even in a full tree.
    pub fn create_below(&mut self, creation: Creation, time: Timestamp) -> Result<Planted> {
        let parent = self.state.nodes.get(self.slot);
        if parent.depth >= limits::DEPTH {
            return Err(Error::TooDeep(parent.id));
        }
        let (above, depth) = (self.slot, parent.depth + 1);
        Ok(self.create(creation, time, above, depth))
    }

    /// Creates a job below a slot, or the root if there is none.
    pub fn create(
        &mut self,
        creation: Creation,
        time: Timestamp,
        above: u32,
        depth: u32,
    ) -> Planted {
        let Slot::Vacant(vacant) = self.buffer.entry(creation.id) else {
            return Planted::Taken(creation);
        };
        let slot = self.state.nodes.next_slot();
        drop(vacant.insert(JobAddress { tree: Arc::clone(self.tree), slot }));
        let order = self.next_order();
        let Creation { id, parent, definition, follow_ups, cost } = creation;
        self.journal(cost.operations, || {
            let definition = Cow::Borrowed(&*definition);
            match follow_ups.as_deref() {
                None => Entry::Created { id, parent, order, time, definition },
                Some(FollowUps { actions, checks, .. }) => {
                    let (actions, checks) = (Cow::Borrowed(&**actions), Cow::Borrowed(&**checks));
                    Entry::CreatedFollowed { id, parent, order, time, definition, actions, checks }
                }
            }
        });
        let (status, delta) = Status::created(id, time);
        let mut node = Node::new(id, above, depth, status);
        node.definition = Some(definition);
        node.born = Some(order);
        if let Some(follow_ups) = &follow_ups {
            self.state.upcoming.add(follow_ups.upcoming_checks());
        }
        node.set_follow_ups(follow_ups);
        let slot = self.state.link(node);
        self.state.new_jobs += 1;
        self.touch(slot, cost);
        self.climb(above, delta);
        Planted::New
    }

    /// Appends a state change, unless the job is finished and such updates are blocked, or the
    /// same change was recorded before.
    pub fn update(&mut self, change: NewChange, time: Timestamp, cost: Cost) -> Result<Updated> {
        let node = self.state.nodes.get_mut(self.slot);
        let (state, changes) = (node.status.state, node.status.changes);
        let hash = change.change_id.is_some().then(|| change.fingerprint());
        if let (Some(id), Some(hash), Some(extras)) = (&change.change_id, hash, &node.extras)
            && let Some(known) = extras.repeats.get(&Repeat::Change(id.clone()))
        {
            if *known != hash {
                return Err(Error::RepeatConflict { id: node.id, repeat: id.clone() });
            }
            return Ok(Updated { applied: true, repeated: true, state, changes });
        }
        if !node.status.accepts_update(self.buffer.block_updates_after_finish) {
            return Ok(Updated { applied: false, repeated: false, state, changes });
        }
        let stands = Standing::from(&node.status);
        if change.expect.is_some_and(|expect| !expect.is_met(&stands)) {
            return Err(Error::UnexpectedState { id: node.id, stands });
        }
        if !change.state.has_room_after(node.status.changes) {
            return Err(Error::TooManyChanges(node.id));
        }
        self.check_commit(cost)?;
        let node = self.state.nodes.get_mut(self.slot);
        if let Some((id, hash)) = change.change_id.clone().zip(hash) {
            node.extras().repeats.insert(Repeat::Change(id), hash);
        }
        let state = self.report(Change::recorded(change, time), cost);
        Ok(Updated { applied: true, repeated: false, state, changes: changes + 1 })
    }

    /// Appends a state change; says what the job's state is then.
    pub fn report(&mut self, change: Change, cost: Cost) -> State {
        let (slot, order) = (self.slot, self.next_order());
        let id = self.state.nodes.get(slot).id;
        self.journal(cost.operations, || Entry::Changed {
            id,
            order,
            change: Cow::Borrowed(&change),
        });
        let node = self.state.nodes.get_mut(slot);
        let before = node.deliveries();
        let delta = node.status.report(id, change.state, change.time);
        let (parent, after) = (node.parent, node.deliveries());
        self.state.upcoming.replace(before, after);
        self.note(Note::change(order, change));
        self.touch(slot, cost);
        if !delta.is_still() {
            self.climb(parent, delta);
        }
        delta.after
    }

    /// Replaces the options.
    pub fn set_options(&mut self, options: Option<String>, cost: Cost) -> Result<()> {
        self.check_commit(cost)?;
        let slot = self.slot;
        let id = self.state.nodes.get(slot).id;
        self.journal(cost.operations, || Entry::Options {
            id,
            options: options.as_deref().map(Into::into),
        });
        let extras = self.state.nodes.get_mut(slot).extras();
        extras.options = Some(options.map(Arc::from));
        extras.options_unsent = true;
        self.touch(slot, cost);
        Ok(())
    }

    /// Appends lines to the log.
    pub fn append(&mut self, lines: Vec<String>, time: Timestamp, cost: Cost) -> Result<()> {
        let slot = self.slot;
        let node = self.state.nodes.get_mut(slot);
        let (id, there) = (node.id, node.status.log_lines);
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        if limits::LOG_LINES.saturating_sub(there) < count {
            return Err(Error::LogFull(id));
        }
        self.check_commit(cost)?;
        self.state.nodes.get_mut(slot).status.log_lines += count;
        self.journal(cost.operations, || Entry::Lines { id, time, lines: Cow::Borrowed(&lines) });
        for text in lines {
            self.note(Note::Line { time, text: text.into_boxed_str() });
        }
        self.touch(slot, cost);
        Ok(())
    }

    /// Sets the position of the next operation, as when it was recorded first.
    pub fn resume_at(&mut self, order: u64) {
        self.state.order = order.saturating_sub(1);
    }

    /// The position of the next creation or change.
    fn next_order(&mut self) -> u64 {
        self.state.order += 1;
        self.state.order
    }

    /// Writes an operation to the journal before it is recorded, after the path that it needs.
    fn journal<'a>(&mut self, operations: u64, entry: impl FnOnce() -> Entry<'a>) {
        let Some(journal) = self.buffer.journal() else { return };
        match self.base.take() {
            Some(path) => {
                let base = Entry::Base { path: Cow::Borrowed(path) };
                journal.append(&[base, entry()], operations);
            }
            None => journal.append(&[entry()], operations),
        }
    }

    /// Puts a note about the job at the end of the log.
    fn note(&mut self, note: Note) {
        let log = &mut self.state.log;
        let at = u32::try_from(log.len()).expect("a buffer has fewer operations");
        log.push(Noted { next: NONE, note });
        let chain = &mut self.state.nodes.get_mut(self.slot).notes;
        let before = std::mem::replace(&mut chain.last, at);
        match before {
            NONE => chain.first = at,
            before => log[before as usize].next = at,
        }
    }

    /// Creates a job of a journal again that had been sent and had left the buffer.
    pub fn create_again(&mut self, creation: Creation, order: u64) {
        self.resume_at(order + 1);
        let node = self.state.nodes.get_mut(self.slot);
        node.born = Some(order);
        node.definition = Some(creation.definition);
        node.set_follow_ups(creation.follow_ups);
        self.state.new_jobs += 1;
        self.touch(self.slot, creation.cost);
    }

    /// Whether the job is on its way to the service without newer notes.
    pub fn is_sent(&self) -> bool {
        let node = self.state.nodes.get(self.slot);
        node.born.is_none() && !node.is_dirty && node.in_flight > 0
    }

    /// The service takes a limited size at once for the jobs of a tree that it has already.
    fn check_commit(&self, cost: Cost) -> Result<()> {
        let (node, state) = (self.state.nodes.get(self.slot), &*self.state);
        let bytes = state.old_bytes + in_commit(cost);
        let full = bytes > limits::COMMIT_EXISTING_BYTES / 4 * 3
            || (!node.is_dirty && state.old_jobs >= limits::COMMIT_EXISTING / 4 * 3);
        let full = node.born.is_none() && full || !self.has_room_to_follow(Upcoming::default());
        if full { Err(Error::TreeFull(self.tree.root)) } else { Ok(()) }
    }

    /// The same for what follows from the states of new jobs, when this much more comes. An
    /// operation changes the states of one path at most; that is counted only near the limit.
    fn has_room_to_follow(&self, more: Upcoming) -> bool {
        let mut upcoming = self.state.upcoming;
        upcoming.add(more);
        if upcoming.rows + MOST_OF_A_PATH > TREE_UPCOMING {
            let mut slot = self.slot;
            while slot != NONE {
                let node = self.state.nodes.get(slot);
                upcoming.rows += node.most_deliveries();
                slot = node.parent;
            }
        }
        upcoming.rows <= TREE_UPCOMING && upcoming.texts <= TREE_UPCOMING_BYTES
    }

    /// Notes that the job has something for the next flush.
    fn touch(&mut self, slot: u32, cost: Cost) {
        self.state.unsent.add(cost);
        let node = self.state.nodes.get_mut(slot);
        if node.born.is_none() {
            self.state.old_jobs += usize::from(!node.is_dirty);
            self.state.old_bytes += in_commit(cost);
        }
        if !node.is_dirty {
            node.is_dirty = true;
            self.state.dirty.push(slot);
        }
    }

    /// Carries what happened at a job up to the root, as far as anything changes.
    fn climb(&mut self, parent: u32, delta: StatusDelta) {
        let (mut slot, mut delta) = (parent, delta);
        while slot != NONE {
            let node = self.state.nodes.get_mut(slot);
            if !node.status.can_absorb(&delta) {
                // Both come from the service, but from different times: another program has changed
                // the tree in between. The service decides what the tree becomes.
                tracing::debug!(job = %node.id, "the tree was changed by another program");
                return;
            }
            let before = node.deliveries();
            let next = node.status.absorb(node.id, &delta);
            let (parent, after) = (node.parent, node.deliveries());
            self.state.upcoming.replace(before, after);
            let Some(next) = next else { return };
            (slot, delta) = (parent, next);
        }
    }
}

/// The most deliveries that one operation can make: at each job of a path one request and all
/// recipients, for each action.
const MOST_OF_A_PATH: usize =
    (limits::DEPTH as usize + 1) * limits::ACTIONS * (1 + limits::RECIPIENTS);
const _: () = assert!(MOST_OF_A_PATH < TREE_UPCOMING);

/// About how much memory the service needs for operations while it takes them in.
fn in_commit(cost: Cost) -> usize {
    const EACH: u64 = 200;
    usize::try_from(cost.bytes + EACH * cost.operations).unwrap_or(usize::MAX)
}
