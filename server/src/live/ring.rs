use std::{
    collections::{BTreeSet, VecDeque},
    ops::ControlFlow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use jobtracker_engine::Committed;
use jobtracker_model::{
    JobId, StateSet,
    live::{EventKind, Frame, Gap, GapReason, LiveEvent, Occurrence, Position},
};
use tokio::sync::Notify;

use super::{
    events::{events, is_event},
    frame::Text,
};

/// Events that are kept of a tree, and those of the commit that has the first of them.
const EVENTS: u64 = 10_000;
/// About how many bytes of events are kept of all trees.
const BYTES: usize = 64 * 1024 * 1024;
/// Events that are searched for those of a subscription at a time.
const SEARCHED: usize = 1_000;

/// The youngest events of a tree, in order. They are made of a commit when they are first read: of
/// most commits of a tree whose rows alone are watched, never.
#[derive(Debug)]
pub(super) struct Ring {
    parts: VecDeque<Part>,
    /// Events behind this position are known; those up to it are not.
    start: Position,
    /// All events up to this position are known.
    head: Position,
    /// Events that have come since it was opened, and gaps.
    counts: Counts,
    bytes: usize,
    kept: Arc<Kept>,
}

/// The events of one commit, or a gap.
#[derive(Debug)]
struct Part {
    /// The position of the last of them.
    last: Position,
    /// How many they are.
    count: usize,
    /// What came before them.
    before: Counts,
    bytes: usize,
    /// The commit, as long as they are not made of it.
    commit: Option<Arc<Committed>>,
    entries: Vec<Arc<Entry>>,
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

impl Part {
    /// Its entries, made now if they are not.
    fn made(&mut self) -> &[Arc<Entry>] {
        if let Some(commit) = self.commit.take() {
            let rows = commit.rows.iter().map(|(index, row)| (*index, row));
            let events = events(commit.root, commit.version, rows);
            self.entries = entries(events.map(What::Event), self.before);
            self.bytes = self.entries.iter().map(|entry| entry.bytes()).sum();
        }
        &self.entries
    }
}

impl Ring {
    /// An empty ring of a tree that has this version.
    pub fn new(version: u64, kept: Arc<Kept>) -> Self {
        kept.rings.fetch_add(1, Ordering::Relaxed);
        let start = Position::end_of(version);
        let counts = Counts { events: 0, gaps: 0 };
        Self { parts: VecDeque::new(), start, head: start, counts, bytes: 0, kept }
    }

    pub fn head(&self) -> Position {
        self.head
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds the events of a commit. It costs a look at each of its rows.
    pub fn push_commit(&mut self, commit: &Arc<Committed>) {
        let (mut count, mut last, mut bytes) = (0, 0, size_of::<Part>());
        for (index, row) in &commit.rows {
            if is_event(row) {
                (count, last) = (count + 1, *index);
            }
            bytes += row.bytes();
        }
        let (last, commit) = (Position::new(commit.version, last), Arc::clone(commit));
        self.head = Position::end_of(commit.version);
        if count > 0 {
            let (before, commit, entries) = (self.counts, Some(commit), Vec::new());
            self.add(Part { last, count, before, bytes, commit, entries });
        }
    }

    /// Adds the events of a commit, after which the tree has this version.
    pub fn push(&mut self, version: u64, events: impl IntoIterator<Item = LiveEvent>) {
        self.add_made(events.into_iter().map(What::Event));
        self.head = Position::end_of(version);
    }

    /// Adds that the events up to a version are not known.
    pub fn push_gap(&mut self, version: u64, why: GapReason) {
        let (from, to) = (self.head, Position::end_of(version));
        if to > from {
            self.add_made(std::iter::once(What::Gap(Gap { from, to, count: None, why })));
            self.head = to;
        }
    }

    fn add_made(&mut self, what: impl Iterator<Item = What>) {
        let (before, entries) = (self.counts, entries(what, self.counts));
        if let Some(last) = entries.last().map(|last| last.at) {
            let bytes = entries.iter().map(|entry| entry.bytes()).sum();
            let count = entries.len();
            self.add(Part { last, count, before, bytes, commit: None, entries });
        }
    }

    fn add(&mut self, part: Part) {
        match part.entries.first().map(|first| &first.what) {
            Some(What::Gap(_)) => self.counts.gaps += 1,
            Some(What::Event(_)) | None => self.counts.events += part.count as u64,
        }
        self.bytes += part.bytes;
        self.kept.bytes.fetch_add(part.bytes, Ordering::Relaxed);
        self.parts.push_back(part);
        self.trim();
        if self.kept.is_over() {
            self.kept.is_full.notify_waiters();
        }
    }

    /// Drops the first entries if there are too many: of this ring, or of all rings and this one
    /// has more than its share.
    pub fn trim(&mut self) {
        while let Some(first) = self.parts.front()
            && (self.counts.total() - first.before.total() - first.count as u64 >= EVENTS
                || (self.kept.is_over() && self.bytes > self.kept.share() && self.parts.len() > 1))
        {
            self.start = first.last;
            self.bytes -= first.bytes;
            self.kept.bytes.fetch_sub(first.bytes, Ordering::Relaxed);
            self.parts.pop_front();
        }
    }

    /// Up to `limit` entries for a subscription that knows what is up to `after`. `None`: some of
    /// what is behind that is no longer here.
    pub fn read(&mut self, after: Position, filter: &Filter, limit: usize) -> Option<Found> {
        if after < self.start {
            return None;
        }
        let (head, counts) = (self.head, self.counts);
        let mut found = Found { entries: Vec::new(), to: head.max(after), head, counts };
        let (mut searched, mut last) = (0, after);
        self.look_through(after, |entry| {
            if found.entries.len() >= limit || searched >= SEARCHED {
                (found.to, found.counts) = (last, entry.before);
                return ControlFlow::Break(());
            }
            (searched, last) = (searched + 1, entry.at);
            found.entries.extend(filter.told(entry));
            ControlFlow::Continue(())
        });
        Some(found)
    }

    /// How many entries a subscription would be told behind a position.
    pub fn count(&mut self, after: Position, filter: &Filter) -> usize {
        let mut count = 0;
        self.look_through(after, |entry| {
            count += usize::from(filter.told(entry).is_some());
            ControlFlow::Continue(())
        });
        count
    }

    /// Looks at the entries behind a position, one after the other.
    fn look_through(
        &mut self,
        after: Position,
        mut look: impl FnMut(&Arc<Entry>) -> ControlFlow<()>,
    ) {
        let first = self.parts.partition_point(|part| part.last <= after);
        for part in self.parts.range_mut(first..) {
            let bytes = part.bytes;
            let mut behind = part.made().iter().filter(|entry| entry.at > after);
            let is_over = behind.try_for_each(&mut look).is_break();
            self.bytes = self.bytes - bytes + part.bytes;
            self.kept.bytes.fetch_add(part.bytes, Ordering::Relaxed);
            self.kept.bytes.fetch_sub(bytes, Ordering::Relaxed);
            if is_over {
                return;
            }
        }
    }

    /// The position at which the kept events begin, and how many came before it.
    pub fn start(&self) -> (Position, Counts) {
        (self.start, self.parts.front().map_or(self.counts, |first| first.before))
    }
}

/// The entries of events, or of a gap; `before` counts what came before the first of them.
fn entries(what: impl Iterator<Item = What>, mut before: Counts) -> Vec<Arc<Entry>> {
    let entry = |what: What| {
        let entry = Entry { before, ..Entry::new(what) };
        before.events += 1;
        Arc::new(entry)
    };
    what.map(entry).collect()
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
    fn total(self) -> u64 {
        self.events + self.gaps
    }

    /// The events between an earlier position and this one, if they were all known.
    pub fn since(self, earlier: Option<Self>) -> Option<u64> {
        let earlier = earlier.filter(|earlier| earlier.gaps == self.gaps)?;
        Some(self.events - earlier.events)
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{LogLine, Timestamp, rollup::Status};
    use jobtracker_store::Row;

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
        let mut told = |kind: Option<EventKind>| {
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

    /// A client may know a commit up to one of its rows, and not every row is an event.
    #[test]
    fn events_are_made_of_a_commit_when_they_are_read() {
        let kept = Arc::new(Kept::default());
        let mut ring = Ring::new(6, Arc::clone(&kept));
        let text = || "a line".to_owned();
        let line = |line| LogLine { line, time: Timestamp::MIN, attempt: None, text: text() };
        let mut rows: Vec<_> =
            (0..4).map(|index| (index, Row::LogLine { id: ROOT, line: line(index) })).collect();
        let (status, _) = Status::created(ROOT, Timestamp::MIN);
        rows[1].1 = Row::Status { id: ROOT, parent: None, before: None, status };
        let commit = Committed { root: ROOT, version: 7, rows, states: Vec::new() };
        ring.push_commit(&Arc::new(commit));
        assert_eq!(ring.counts(), Counts { events: 3, gaps: 0 });
        let unread = kept.bytes.load(Ordering::Relaxed);
        let mut read = |after, limit| {
            let found = ring.read(after, &Filter::default(), limit).unwrap();
            let at: Vec<_> = found.entries.iter().map(|entry| entry.at).collect();
            (at, found.to, found.counts.events)
        };
        let [first, second, third] = [0, 2, 3].map(|index| Position::new(7, index));
        let end = Position::end_of(7);
        assert_eq!(read(Position::end_of(6), 2), (vec![first, second], second, 2));
        assert_eq!(read(first, 9), (vec![second, third], end, 3));
        assert_eq!(read(third, 9), (vec![], end, 3));
        let made = kept.bytes.load(Ordering::Relaxed);
        assert!(made > 0 && made != unread);
        drop(ring);
        assert_eq!(kept.bytes.load(Ordering::Relaxed), 0);
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
        assert_eq!(quiet.parts.len(), 10);
        grow(&mut busy, 4);
        assert_eq!(busy.parts.len(), 4, "it has less than its share");
        quiet.trim();
        assert_eq!(quiet.parts.len(), 6);
        grow(&mut busy, 9);
        quiet.trim();
        assert_eq!((quiet.parts.len(), busy.parts.len()), (5, 5));
    }
}
