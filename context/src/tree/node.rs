use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{Change, Definition, JobId, JobNode, Repeat, Timestamp, rollup::Status};

use crate::follow_ups::FollowUps;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// A job in the buffer. The numbers of other jobs are slots of the arena.
pub(crate) struct Node {
    pub id: JobId,
    pub status: Status,
    pub depth: u32,
    pub parent: u32,
    /// Its children in the buffer, in the order in which they came into it.
    pub first_child: u32,
    pub last_child: u32,
    pub next: u32,
    pub previous: u32,
    /// As it was created; unknown for a job that was loaded from the service.
    pub definition: Option<Arc<Definition>>,
    /// The position of its creation in the order of recording, while that has not been sent.
    pub born: Option<u64>,
    /// Its notes since the last flush.
    pub notes: Chain,
    pub extras: Option<Box<Extras>>,
    /// The number of batches without an outcome that it is part of.
    pub in_flight: u32,
    /// Whether it has something for the next flush.
    pub is_dirty: bool,
    /// Its position in the batch that is being put together.
    pub mark: u32,
}

/// Fields that few jobs have.
#[derive(Default)]
pub(crate) struct Extras {
    /// The options, once they were replaced.
    pub options: Option<Options>,
    /// Whether they are still to be sent.
    pub options_unsent: bool,
    /// The hash of the change that was recorded under each change id.
    pub repeats: HashMap<Repeat, u64>,
    /// The actions and checks with which it was created.
    pub follow_ups: Option<Arc<FollowUps>>,
}

/// Options of a job; none if they were taken away.
pub(crate) type Options = Option<Arc<str>>;

/// Notes of one job in the log of its tree.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    pub first: u32,
    pub last: u32,
}

/// A note about a job, and where the next note about that job is.
pub(crate) struct Noted {
    pub next: u32,
    pub note: Note,
}

pub(crate) enum Note {
    /// A change without texts, as most are.
    Bare {
        order: u64,
        time: Timestamp,
        state: jobtracker_model::State,
    },
    Change {
        order: u64,
        change: Box<Change>,
    },
    Line {
        time: Timestamp,
        text: Box<str>,
    },
}

impl Node {
    pub fn new(id: JobId, parent: u32, depth: u32, status: Status) -> Self {
        Self {
            id,
            status,
            depth,
            parent,
            first_child: NONE,
            last_child: NONE,
            next: NONE,
            previous: NONE,
            definition: None,
            born: None,
            notes: Chain::default(),
            extras: None,
            in_flight: 0,
            is_dirty: false,
            mark: NONE,
        }
    }

    /// A job that the service has.
    pub fn existing(node: &JobNode, parent: u32) -> Self {
        Self::new(node.id, parent, node.depth, node.status.clone())
    }

    /// Whether nothing keeps it in the buffer.
    pub fn is_idle(&self) -> bool {
        !self.is_dirty && self.in_flight == 0 && self.first_child == NONE
    }

    pub fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Its actions and checks, as far as it was created here.
    pub fn follow_ups(&self) -> Option<&Arc<FollowUps>> {
        self.extras.as_ref()?.follow_ups.as_ref()
    }

    /// Keeps its actions and checks, if it has any.
    pub fn set_follow_ups(&mut self, follow_ups: Option<Arc<FollowUps>>) {
        if follow_ups.is_some() {
            self.extras().follow_ups = follow_ups;
        }
    }

    /// How many deliveries it makes if it is sent as it is. The service counts those of a job that
    /// it has already.
    pub fn deliveries(&self) -> usize {
        match (self.born, self.follow_ups()) {
            (Some(_), Some(follow_ups)) => follow_ups.deliveries(self.status.state),
            _ => 0,
        }
    }

    /// The most deliveries that it can make.
    pub fn most_deliveries(&self) -> usize {
        match (self.born, self.follow_ups()) {
            (Some(_), Some(follow_ups)) => follow_ups.most_deliveries,
            _ => 0,
        }
    }

    /// The known part of its definition, with the options that it has now.
    pub fn definition_now(&self) -> Option<Definition> {
        let mut definition = Definition::clone(self.definition.as_ref()?);
        if let Some(options) = self.extras.as_ref().and_then(|extras| extras.options.as_ref()) {
            definition.options = options.as_deref().map(str::to_owned);
        }
        Some(definition)
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Note {
    pub fn change(order: u64, change: Change) -> Self {
        let Change { state, time, message, reason_code, change_id, by: _ } = &change;
        if message.is_none() && reason_code.is_none() && change_id.is_none() {
            return Self::Bare { order, time: *time, state: *state };
        }
        Self::Change { order, change: Box::new(change) }
    }
}
