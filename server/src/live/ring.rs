use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Frame, Gap, GapReason, LiveEvent, Occurrence, Position},
};

use super::frame::Text;

/// Events that are kept of a tree.
const EVENTS: usize = 10_000;
/// About how many bytes of events are kept of all trees.
pub(super) const BYTES: usize = 64 * 1024 * 1024;
/// Events that are searched for those of a subscription at a time.
const SEARCHED: usize = 1_000;

/// The youngest events of a tree, in order.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    /// Events behind this position are known; those up to it are not.
    start: Position,
    /// All events up to this position are known.
    head: Position,
    /// Events that have come since it was opened, and gaps.
    counts: Counts,
    bytes: usize,
    /// The bytes of all rings.
    total: Arc<AtomicUsize>,
}

/// How many events and gaps came before a position of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub events: u64,
    pub gaps: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub at: Position,
    pub what: What,
    before: Counts,
    text: OnceLock<Text>,
}

#[derive(Debug)]
pub(super) enum What {
    Event(LiveEvent),
    Gap(Gap),
}

/// Which events a subscription asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub job: Option<JobId>,
    pub kinds: Option<Vec<EventKind>>,
    pub states: Option<StateSet>,
}

/// What a ring has behind a position.
#[derive(Debug)]
pub(super) struct Found {
    pub entries: Vec<Arc<Entry>>,
    /// The ring was read up to here.
    pub to: Position,
    /// It goes up to here.
    pub head: Position,
    pub counts: Counts,
}

impl Entry {
    pub fn new(what: What) -> Self {
        let at = match &what {
            What::Event(event) => event.at,
            What::Gap(gap) => gap.to,
        };
        let before = Counts { events: 0, gaps: 0 };
        Self { at, what, before, text: OnceLock::new() }
    }

    pub fn text(&self) -> Text {
        let write = || match &self.what {
            What::Event(event) => Text::of(&Frame::Event(event.clone())),
            What::Gap(gap) => Text::of(&Frame::Gap(*gap)),
        };
        self.text.get_or_init(write).clone()
    }

    /// About how much memory it takes, with its text.
    fn bytes(&self) -> usize {
        let texts = match &self.what {
            What::Event(LiveEvent { what, .. }) => match what {
                Occurrence::Created { name, .. } => name.len(),
                Occurrence::Changed { change, .. } => {
                    let texts = [&change.message, &change.reason_code, &change.change_id];
                    texts.into_iter().flatten().map(String::len).sum()
                }
                Occurrence::Log(line) => line.text.len(),
                Occurrence::Attachment { key, .. } => key.len(),
                _ => 0,
            },
            What::Gap(_) => 0,
        };
        size_of::<Self>() + 160 + 2 * texts
    }
}

impl Filter {
    /// Whether a subscription is told of an entry. It is told of every gap.
    pub fn takes(&self, entry: &Entry) -> bool {
        let What::Event(event) = &entry.what else { return true };
        let kind = event.what.kind();
        // An upload may have changed any job of the tree.
        let is_asked = self.job.is_none_or(|job| job == event.id) || kind == EventKind::Flushed;
        let is_kind = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        let in_states = match (self.states, event.what.state()) {
            (Some(states), Some(state)) => states.contains(state),
            _ => true,
        };
        is_asked && is_kind && in_states
    }
}

impl Ring {
    /// An empty ring of a tree that has this version.
    pub fn new(version: u64, total: Arc<AtomicUsize>) -> Self {
        let start = Position::end_of(version);
        let counts = Counts { events: 0, gaps: 0 };
        Self { entries: VecDeque::new(), start, head: start, counts, bytes: 0, total }
    }

    pub fn head(&self) -> Position {
        self.head
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds the events of a commit, after which the tree has this version.
    pub fn push(&mut self, version: u64, events: impl Iterator<Item = LiveEvent>) {
        events.for_each(|event| self.add(What::Event(event)));
        self.head = Position::end_of(version);
    }

    /// Adds that the events up to a version are not known.
    pub fn push_gap(&mut self, version: u64, why: GapReason) {
        let (from, to) = (self.head, Position::end_of(version));
        if to > from {
            self.add(What::Gap(Gap { from, to, count: None, why }));
            self.head = to;
        }
    }

    fn add(&mut self, what: What) {
        let entry = Entry { before: self.counts, ..Entry::new(what) };
        match entry.what {
            What::Event(_) => self.counts.events += 1,
            What::Gap(_) => self.counts.gaps += 1,
        }
        self.bytes += entry.bytes();
        self.total.fetch_add(entry.bytes(), Ordering::Relaxed);
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > EVENTS
            || (self.total.load(Ordering::Relaxed) > BYTES && self.entries.len() > 1)
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.start = first.at;
            self.bytes -= first.bytes();
            self.total.fetch_sub(first.bytes(), Ordering::Relaxed);
        }
    }

    /// Up to `limit` entries for a subscription that knows what is up to `after`. `None`: some of
    /// what is behind that is no longer here.
    pub fn read(&self, after: Position, filter: &Filter, limit: usize) -> Option<Found> {
        if after < self.start {
            return None;
        }
        let first = self.entries.partition_point(|entry| entry.at <= after);
        let (head, counts) = (self.head, self.counts);
        let mut found = Found { entries: Vec::new(), to: head.max(after), head, counts };
        for (searched, entry) in self.entries.range(first..).enumerate() {
            if found.entries.len() >= limit || searched >= SEARCHED {
                let last = &self.entries[first + searched - 1];
                (found.to, found.counts) = (last.at, entry.before);
                break;
            }
            if filter.takes(entry) {
                found.entries.push(Arc::clone(entry));
            }
        }
        Some(found)
    }

    /// How many entries a subscription would be told behind a position.
    pub fn count(&self, after: Position, filter: &Filter) -> usize {
        let first = self.entries.partition_point(|entry| entry.at <= after);
        self.entries.range(first..).filter(|entry| filter.takes(entry)).count()
    }

    /// The position at which the kept events begin, and how many came before it.
    pub fn start(&self) -> (Position, Counts) {
        (self.start, self.entries.front().map_or(self.counts, |first| first.before))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Counts {
    /// The events between an earlier position and this one, if they were all known.
    pub fn since(self, earlier: Option<Self>) -> Option<u64> {
        let earlier = earlier.filter(|earlier| earlier.gaps == self.gaps)?;
        Some(self.events - earlier.events)
    }
}
