//! The answers that the store should give, found by checking every job.

use std::sync::Arc;

use jobtracker_model::{JobId, State, StateSet, Timestamp, rollup::Status};

use super::{forest::Forest, kept::Kept};
use jobtracker_store::{
    BlockerRow, FollowUpKey, JobRow, Loaded, Node, Order, Place, RootKey, Row, Version, Wanted,
};

/// A list that begins with the oldest, in this order.
pub(super) fn ordered<T>(mut list: Vec<T>, order: Order) -> Vec<T> {
    if order == Order::Newest {
        list.reverse();
    }
    list
}

impl Forest {
    /// The version of the tree of a job.
    pub(super) fn version(&self, of: JobId) -> Version {
        self.versions[&self.job(of).origin.root]
    }

    pub(super) fn row(&self, id: JobId) -> JobRow {
        let job = self.job(id);
        let node = Node { origin: job.origin, status: job.status.clone() };
        JobRow::new(id, node, Arc::clone(&job.definition))
    }

    pub(super) fn state(&self, id: JobId) -> State {
        self.jobs.get(&id).map_or(State::WaitingForActivation, |job| job.status.state)
    }

    pub(super) fn ancestors(&self, id: JobId) -> Vec<JobRow> {
        match self.job(id).origin.parent {
            Some(parent) => [vec![self.row(parent)], self.ancestors(parent)].concat(),
            None => Vec::new(),
        }
    }

    fn is_in(&self, id: JobId, states: StateSet) -> bool {
        states.is_empty() || states.contains(self.state(id))
    }

    /// Where a job and its ancestors stand among their siblings.
    pub(super) fn places(&self, id: JobId) -> Vec<Place> {
        let Some(parent) = self.job(id).origin.parent else { return Vec::new() };
        let siblings = &self.job(parent).children;
        let (number, count) = (siblings.range(..id).count() as u64, siblings.len() as u64);
        [vec![Place { id, number, siblings: count }], self.places(parent)].concat()
    }

    pub(super) fn children(&self, parent: JobId, states: StateSet) -> Vec<JobRow> {
        let children = self.job(parent).children.iter();
        children.filter(|id| self.is_in(**id, states)).map(|id| self.row(*id)).collect()
    }

    /// Every descendant, each before its own children, siblings by id.
    pub(super) fn below(&self, of: JobId) -> Vec<JobId> {
        let mut below = Vec::new();
        let mut left = vec![of];
        while let Some(id) = left.pop() {
            left.extend(self.job(id).children.iter().rev());
            below.push(id);
        }
        below.split_off(1)
    }

    pub(super) fn descendants(&self, of: JobId, states: StateSet) -> Vec<JobRow> {
        let below = self.below(of).into_iter();
        below.filter(|id| self.is_in(*id, states)).map(|id| self.row(id)).collect()
    }

    pub(super) fn blockers(&self, of: JobId) -> Vec<BlockerRow> {
        let is_pending = |status: &Status| !status.state.is_finished();
        let is_failed = |status: &Status| status.state == State::Faulted;
        let top = &self.job(of).status;
        let counts: &dyn Fn(&Status) -> bool = match top.state {
            State::RanToCompletion => return Vec::new(),
            State::Faulted => &is_failed,
            _ => &is_pending,
        };
        let has_failed = top.state == State::Faulted;
        let reported = |id: &JobId| {
            let mut changes = self.job(*id).changes.iter();
            changes.find(|change| change.state == State::Faulted)
        };
        let blocks = |id: &JobId| {
            let job = self.job(*id);
            let below = || job.children.iter().any(|child| counts(&self.job(*child).status));
            counts(&job.status) && if has_failed { reported(id).is_some() } else { !below() }
        };
        let blocker = |id: JobId| {
            let last = self.job(id).changes.last().expect("the creation is one");
            let why = reported(&id).filter(|_| has_failed).unwrap_or(last);
            BlockerRow { job: self.row(id), last_change: why.clone() }
        };
        let top = Some(of).filter(|_| has_failed);
        top.into_iter().chain(self.below(of)).filter(blocks).map(blocker).collect()
    }

    pub(super) fn roots(&self, from: Timestamp, to: Timestamp, order: Order) -> Vec<JobRow> {
        let key = |id: &JobId| RootKey { time: self.job(*id).status.create_time, id: *id };
        let roots = self.jobs.iter().filter(|(_, job)| job.origin.parent.is_none());
        let mut keys: Vec<RootKey> = roots.map(|(id, _)| key(id)).collect();
        keys.retain(|key| from <= key.time && key.time < to);
        keys.sort();
        ordered(keys.into_iter().map(|key| self.row(key.id)).collect(), order)
    }

    /// All rows of a tree, as of a new one.
    pub(super) fn rows(&self, root: JobId) -> Vec<Row> {
        let mut rows = Vec::new();
        for id in [vec![root], self.below(root)].concat() {
            let Kept { origin, definition, status, .. } = self.job(id);
            let Kept { changes, log, attachments, repeats, follow_ups, .. } = self.job(id);
            rows.push(Row::Job { id, origin: *origin, definition: Arc::clone(definition) });
            let (parent, before, status) = (origin.parent, None, status.clone());
            rows.push(Row::Status { id, parent, before, status });
            let changes = (0..).zip(changes.iter().cloned()).skip(1);
            rows.extend(changes.map(|(number, change)| Row::Change { id, number, change }));
            rows.extend(log.iter().cloned().map(|line| Row::LogLine { id, line }));
            let attachments = attachments.iter().map(|(key, text)| (key.clone(), text.clone()));
            rows.extend(attachments.map(|(key, text)| Row::Attachment {
                id,
                key,
                text: Some(text),
            }));
            let repeats = repeats.iter().map(|(key, row)| (key.clone(), *row));
            rows.extend(repeats.map(|(key, row)| Row::Repeat { id, key, row }));
            let before = None;
            let follow_ups = follow_ups.iter().map(|(key, row)| (*key, row.clone()));
            rows.extend(follow_ups.map(|(key, row)| Row::FollowUp { id, key, before, row }));
        }
        rows
    }

    pub(super) fn loaded(&self, wanted: &Wanted) -> Loaded {
        let mut loaded = Loaded::default();
        for id in wanted.paths.iter().filter(|id| self.jobs.contains_key(id)) {
            for JobRow { id, .. } in [vec![self.row(*id)], self.ancestors(*id)].concat() {
                let job = self.job(id);
                let node = Node { origin: job.origin, status: job.status.clone() };
                loaded.nodes.insert(id, node);
                loaded.versions.insert(job.origin.root, self.versions[&job.origin.root]);
            }
        }
        for id in &wanted.definitions {
            let definition = self.jobs.get(id).map(|job| Arc::clone(&job.definition));
            loaded.definitions.extend(definition.map(|definition| (*id, definition)));
        }
        for (id, key) in &wanted.repeats {
            let row = self.jobs.get(id).and_then(|job| job.repeats.get(key));
            loaded.repeats.extend(row.map(|row| ((*id, key.clone()), *row)));
        }
        for (id, key) in &wanted.attachments {
            if self.jobs.get(id).is_some_and(|job| job.attachments.contains_key(key)) {
                loaded.attachments.insert((*id, key.clone()));
            }
        }
        for (id, number) in wanted.changes.iter().filter(|(_, number)| *number > 0) {
            let change = self.jobs.get(id).and_then(|job| job.changes.get(*number as usize));
            loaded.changes.extend(change.map(|change| ((*id, *number), change.clone())));
        }
        let nodes = loaded.nodes.keys().map(|id| (*id, FollowUpKey::Watch));
        for (id, key) in wanted.follow_ups.iter().copied().chain(nodes) {
            let row = self.jobs.get(&id).and_then(|job| job.follow_ups.get(&key));
            loaded.follow_ups.extend(row.map(|row| ((id, key), row.clone())));
        }
        loaded
    }
}
