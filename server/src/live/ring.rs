use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Frame, Gap, GapReason, LiveEvent, Occurrence, Position},
};
use tokio::sync::Notify;

use super::frame::Text;

/// Events that are kept of a tree.
const EVENTS: usize = 10_000;
/// About how many bytes of events are kept of all trees.
const BYTES: usize = 64 * 1024 * 1024;
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
    kept: Arc<Kept>,
}

/// What all rings keep together.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: AtomicUsize,
    rings: AtomicUsize,
    /// The bytes that they may have.
    limit: usize,
    /// They have more, and not in the ring that grew: the others have to be trimmed.
    pub is_full: Notify,
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
    pub kinds: Option<BTreeSet<EventKind>>,
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
    /// An entry as a subscription is told it, if it is. It is told of every gap, and of an upload
    /// that is one event, which may have changed any job: as a gap if it asks for no such event.
    pub fn told(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let What::Event(event) = &entry.what else { return Some(Arc::clone(entry)) };
        let is_whole_upload = matches!(event.what, Occurrence::Flushed { commit: None });
        if !is_whole_upload || self.has_kind(EventKind::Flushed) {
            return self.takes(event).then(|| Arc::clone(entry));
        }
        let to = event.at.version();
        let (from, to) = (Position::end_of(to.saturating_sub(1)), Position::end_of(to));
        let gap = Gap { from, to, count: None, why: GapReason::Large };
        Some(Arc::new(Entry::new(What::Gap(gap))))
    }

    fn has_kind(&self, kind: EventKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn takes(&self, event: &LiveEvent) -> bool {
        let kind = event.what.kind();
        // It is the last event of every job, whatever a subscription asks for.
        if kind == EventKind::Deleted {
            return true;
        }
        // An upload may have changed any job of the tree.
        let is_asked = self.job.is_none_or(|job| job == event.id) || kind == EventKind::Flushed;
        let in_states = match (self.states, event.what.state()) {
            (Some(states), Some(state)) => states.contains(state),
            _ => true,
        };
        is_asked && self.has_kind(kind) && in_states
    }
}

impl Ring {
    /// An empty ring of a tree that has this version.
    pub fn new(version: u64, kept: Arc<Kept>) -> Self {
        kept.rings.fetch_add(1, Ordering::Relaxed);
        let start = Position::end_of(version);
        let counts = Counts { events: 0, gaps: 0 };
        Self { entries: VecDeque::new(), start, head: start, counts, bytes: 0, kept }
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
        self.kept.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        self.entries.push_back(Arc::new(entry));
        self.trim();
        if self.kept.is_over() {
            self.kept.is_full.notify_waiters();
        }
    }

    /// Drops the first entries if there are too many: of this ring, or of all rings and this one
    /// has more than its share.
    pub fn trim(&mut self) {
        while self.entries.len() > EVENTS
            || (self.kept.is_over() && self.bytes > self.kept.share() && self.entries.len() > 1)
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.start = first.at;
            self.bytes -= first.bytes();
            self.kept.bytes.fetch_sub(first.bytes(), Ordering::Relaxed);
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
            found.entries.extend(filter.told(entry));
        }
        Some(found)
    }

    /// How many entries a subscription would be told behind a position.
    pub fn count(&self, after: Position, filter: &Filter) -> usize {
        let first = self.entries.partition_point(|entry| entry.at <= after);
        self.entries.range(first..).filter_map(|entry| filter.told(entry)).count()
    }

    /// The position at which the kept events begin, and how many came before it.
    pub fn start(&self) -> (Position, Counts) {
        (self.start, self.entries.front().map_or(self.counts, |first| first.before))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.kept.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.kept.rings.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Kept {
    pub fn new(limit: usize) -> Self {
        let (bytes, rings, is_full) = Default::default();
        Self { bytes, rings, limit, is_full }
    }

    fn is_over(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.limit
    }

    /// What a ring keeps at least.
    fn share(&self) -> usize {
        self.limit / self.rings.load(Ordering::Relaxed).max(1)
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::new(BYTES)
    }
}

impl Counts {
    /// The events between an earlier position and this one, if they were all known.
    pub fn since(self, earlier: Option<Self>) -> Option<u64> {
        let earlier = earlier.filter(|earlier| earlier.gaps == self.gaps)?;
        Some(self.events - earlier.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::events::flushed;

    const ROOT: JobId = JobId::MIN;

    /// An upload that is one event tells a subscription that does not ask for it that state changes
    /// and lines of other operations in its commit are not told.
    #[test]
    fn an_upload_is_told_to_every_subscription() {
        let mut ring = Ring::new(6, Arc::default());
        ring.push(7, std::iter::once(flushed(ROOT, 7)));
        let after = Position::end_of(6);
        let told = |kind: Option<EventKind>| {
            let kinds = kind.map(|kind| BTreeSet::from([kind]));
            let filter = Filter { job: Some(ROOT), kinds, states: None };
            assert_eq!(ring.count(after, &filter), 1);
            let mut found = ring.read(after, &filter, 9).unwrap();
            assert_eq!((found.to, found.entries.len()), (ring.head(), 1));
            found.entries.pop().unwrap()
        };
        for kind in [None, Some(EventKind::Flushed)] {
            assert!(matches!(told(kind).what, What::Event(_)));
        }
        for kind in [EventKind::State, EventKind::Log] {
            let What::Gap(gap) = told(Some(kind)).what else { panic!("no gap") };
            assert_eq!((gap.from, gap.to), (after, Position::end_of(7)));
        }
    }

    fn grow(ring: &mut Ring, entries: u64) {
        for _ in 0..entries {
            let version = ring.head().version() + 1;
            ring.push(version, std::iter::once(flushed(ROOT, version)));
        }
    }

    #[test]
    fn a_ring_keeps_its_share_when_another_has_more() {
        let size = Entry::new(What::Event(flushed(ROOT, 1))).bytes();
        let kept = Arc::new(Kept::new(10 * size));
        let (mut quiet, mut busy) = (Ring::new(0, Arc::clone(&kept)), Ring::new(0, kept));
        grow(&mut quiet, 10);
        assert_eq!(quiet.entries.len(), 10);
        grow(&mut busy, 4);
        assert_eq!(busy.entries.len(), 4, "it has less than its share");
        quiet.trim();
        assert_eq!(quiet.entries.len(), 6);
        grow(&mut busy, 9);
        quiet.trim();
        assert_eq!((quiet.entries.len(), busy.entries.len()), (5, 5));
    }
}
