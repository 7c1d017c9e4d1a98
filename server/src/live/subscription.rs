use std::{
    collections::{HashSet, VecDeque},
    future::pending,
    mem::take,
    sync::Arc,
    time::Duration,
};

use jobtracker_engine::{Error, Result};
use jobtracker_model::{
    FieldError, JobId,
    live::{EventKind, Gap, GapReason, Position, Subscribe, Topic},
};
use jobtracker_store::{Store, TreeCommit, Version, Wanted};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    events,
    frame::Text,
    hub::{Hub, Watching},
    ring::{Counts, Entry, Filter, Ring, What},
    tree::{LiveTree, WindowView},
    window::window_of,
};

/// Events that a subscription is told in a second on average.
const EVENTS_A_SECOND: u32 = 1_000;
/// Events that it may be told at once: all that are kept of a tree, to one who comes again.
const EVENTS_AT_ONCE: u32 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
/// Events that are taken at a time.
const BATCH: usize = 64;

/// One subscription of a connection.
pub(super) struct Subscription {
    /// Dropped after the window, which is a part of it.
    rows: Option<Rows>,
    events: Option<Events>,
    tree: Watching,
}

/// Rows that it shows.
struct Rows {
    view: WindowView,
    /// The version of the snapshot that the client has.
    has: Option<Version>,
    /// The client has a snapshot of this version from another connection.
    since: Option<Version>,
}

/// Events that it tells.
struct Events {
    filter: Filter,
    /// What is up to here was told.
    at: Position,
    /// What had come by then, if it was here.
    counts: Option<Counts>,
    /// Events behind `at` that the ring no longer has.
    old: VecDeque<Arc<Entry>>,
    /// The position behind those.
    old_to: Option<Position>,
    /// What is behind `at` is no longer in the ring, and was not yet searched in the store.
    is_lost: bool,
    heads: watch::Receiver<Position>,
    budget: Budget,
}

/// How many events may be told now.
struct Budget {
    left: u32,
    filled: Instant,
    /// It is used up, and not filled before this.
    waits: Option<Instant>,
    /// It was filled after it had been used up.
    is_refilled: bool,
}

/// Something to tell, and the position that the client knows by it.
pub(super) type Told = (Text, Option<Position>);

impl Subscription {
    pub async fn begin(hub: &Arc<Hub>, wanted: Subscribe) -> Result<Self> {
        let Subscribe { topic, ids, kinds, states, after, since, .. } = wanted;
        let (tree, shown, job) = match topic {
            Topic::Rows(root) => (hub.watch(root).await?, Some(ids), None),
            Topic::Tree(root) => (hub.watch(root).await?, Some(vec![root]), None),
            Topic::Job(id) => {
                (hub.watch(root_of(&*hub.store, id).await?).await?, Some(vec![id]), Some(id))
            }
            Topic::Log(id) => (hub.watch(root_of(&*hub.store, id).await?).await?, None, Some(id)),
        };
        let kinds = match topic {
            Topic::Rows(_) => Some(Vec::new()),
            Topic::Log(_) => Some(vec![EventKind::Log]),
            Topic::Tree(_) | Topic::Job(_) => kinds,
        };
        let tells = kinds.as_ref().is_none_or(|kinds| !kinds.is_empty());
        let events = tells.then(|| {
            let mut heads = tree.heads();
            heads.mark_changed();
            let (head, counts) = tree.ring(|ring| (ring.head(), ring.counts()));
            let (at, counts) = match after {
                Some(after) => (after, None),
                None => (head, Some(counts)),
            };
            let filter = Filter { job, kinds, states };
            let (old, old_to, is_lost) = Default::default();
            let budget = Budget::new();
            Events { filter, at, counts, old, old_to, is_lost, heads, budget }
        });
        let rows = shown.map(|ids| Rows { view: tree.view(window_of(ids)), has: None, since });
        Ok(Self { rows, events, tree })
    }

    /// Shows other rows.
    pub fn show(&mut self, ids: Vec<JobId>) -> Result<()> {
        if self.events.is_some() || self.rows.is_none() {
            let reason = "only a subscription to rows has a window";
            return Err(Error::Field(FieldError::new("sub", reason)));
        }
        let view = self.tree.view(window_of(ids));
        self.rows = Some(Rows { view, has: None, since: None });
        Ok(())
    }

    /// Where its events are; none if it tells of none.
    pub fn position(&self) -> Option<Position> {
        self.events.as_ref().map(|events| events.at)
    }

    /// Ends when there may be something to tell. A dropped call misses nothing.
    pub async fn changed(&mut self, store: &dyn Store) {
        let Self { rows, events, tree } = self;
        let rows = async {
            let Some(Rows { view, .. }) = rows else { return pending().await };
            match view.ticks.changed().await {
                Ok(()) => view.ticks.mark_changed(),
                Err(_) => pending().await,
            }
        };
        let events = async {
            match events {
                Some(events) => events.changed(tree, store).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = rows => {}
            () = events => {}
        }
    }

    /// Takes what there is to tell now, up to about `room` bytes of it.
    pub fn collect(&mut self, room: usize) -> Vec<Told> {
        let mut told = Vec::new();
        let has_events = self.events.is_some();
        if let Some(rows) = &mut self.rows {
            told.extend(rows.collect(has_events));
        }
        if let Some(events) = &mut self.events {
            events.collect(&self.tree, room, &mut told);
        }
        told
    }
}

impl Rows {
    /// The present rows, if the client does not have them.
    fn collect(&mut self, has_events: bool) -> Option<Told> {
        if !self.view.ticks.has_changed().unwrap_or(false) {
            return None;
        }
        let tick = self.view.ticks.borrow_and_update().clone()?;
        let version = tick.version();
        let has = self.has.replace(version);
        if self.since.take().is_some_and(|since| version <= since) {
            return None;
        }
        // A position of events says by itself where they go on.
        let at = (!has_events).then(|| Position::end_of(version));
        Some((tick.text(has), at))
    }
}

impl Events {
    async fn changed(&mut self, tree: &LiveTree, store: &dyn Store) {
        if self.is_lost {
            let known = self.at.whole_version();
            let commits = store.commits_after(tree.root, known).await;
            self.find(tree, known, &commits.map(|(_, commits)| commits).unwrap_or_default());
        } else if let Some(until) = self.budget.waits {
            sleep_until(until).await;
        } else if self.heads.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// Takes what the ring no longer has from commits of the store's log, or makes it a gap.
    fn find(&mut self, tree: &LiveTree, known: Version, commits: &[TreeCommit]) {
        self.is_lost = false;
        let is_whole = commits.first().is_some_and(|first| first.expected <= known);
        if let Some(last) = commits.last().filter(|_| is_whole) {
            self.old_to = Some(Position::end_of(last.expected + 1));
            // Commits of the log are not counted.
            self.counts = None;
            let events = commits.iter().flat_map(events::of_commit).map(What::Event);
            let entries = events.map(Entry::new).filter(|entry| entry.at > self.at);
            self.old = entries.filter_map(|entry| self.filter.told(&Arc::new(entry))).collect();
            return;
        }
        let (to, counts) = tree.ring(Ring::start);
        let why = if self.counts.is_some() { GapReason::Slow } else { GapReason::Gone };
        let gap = Gap { from: self.at, to, count: counts.since(self.counts), why };
        self.old.push_back(Arc::new(Entry::new(What::Gap(gap))));
        (self.old_to, self.counts) = (Some(to), Some(counts));
    }

    fn collect(&mut self, tree: &LiveTree, room: usize, told: &mut Vec<Told>) {
        self.heads.borrow_and_update();
        if self.is_lost || !self.budget.fill() {
            return;
        }
        let mut bytes = 0;
        while bytes < room && self.budget.has_room() {
            if let Some(entry) = self.old.pop_front() {
                bytes += self.tell(&entry, told);
                continue;
            }
            self.at = self.old_to.take().map_or(self.at, |to| to.max(self.at));
            if take(&mut self.budget.is_refilled) {
                self.skip(tree, told);
            }
            let Some(found) = tree.read(self.at, &self.filter, BATCH) else {
                self.is_lost = true;
                return;
            };
            let has_more = found.to < found.head;
            bytes += found.entries.iter().map(|entry| self.tell(entry, told)).sum::<usize>();
            // The gap of an upload goes on behind its event.
            (self.at, self.counts) = (found.to.max(self.at), Some(found.counts));
            if !has_more {
                return;
            }
        }
        // There may be more than is taken now.
        self.heads.mark_changed();
    }

    /// Tells an entry; answers its size.
    fn tell(&mut self, entry: &Entry, told: &mut Vec<Told>) -> usize {
        let text = entry.text();
        let bytes = text.bytes();
        self.budget.left = self.budget.left.saturating_sub(1);
        told.push((text, Some(entry.at)));
        self.at = entry.at;
        bytes
    }

    /// Makes a gap of what has come meanwhile, if it is more than is told in a second.
    fn skip(&mut self, tree: &LiveTree, told: &mut Vec<Told>) {
        let skipped = tree.ring(|ring| {
            let count = ring.count(self.at, &self.filter);
            (count > EVENTS_A_SECOND as usize).then(|| (ring.head(), ring.counts()))
        });
        let Some((to, counts)) = skipped else { return };
        let count = counts.since(self.counts);
        let gap = Gap { from: self.at, to, count, why: GapReason::Rate };
        self.tell(&Entry::new(What::Gap(gap)), told);
        self.counts = Some(counts);
    }
}

impl Budget {
    fn new() -> Self {
        Self { left: EVENTS_AT_ONCE, filled: Instant::now(), waits: None, is_refilled: false }
    }

    fn has_room(&mut self) -> bool {
        if self.left == 0 && self.waits.is_none() {
            self.waits = Some(Instant::now() + SECOND);
        }
        self.left > 0
    }

    /// Fills it by the time that has passed; false while it is used up.
    fn fill(&mut self) -> bool {
        let now = Instant::now();
        match self.waits {
            Some(until) if now < until => return false,
            Some(_) => {
                (self.waits, self.is_refilled) = (None, true);
                self.left = EVENTS_A_SECOND;
            }
            None => {
                let passed = now.duration_since(self.filled).as_millis();
                let more = passed * u128::from(EVENTS_A_SECOND) / SECOND.as_millis();
                let more = u32::try_from(more).unwrap_or(EVENTS_AT_ONCE);
                if more == 0 {
                    return true;
                }
                self.left = self.left.saturating_add(more).min(EVENTS_AT_ONCE);
            }
        }
        self.filled = now;
        true
    }
}

/// The root of a job's tree.
async fn root_of(store: &dyn Store, id: JobId) -> Result<JobId> {
    let wanted = Wanted { paths: HashSet::from([id]), ..Wanted::default() };
    let loaded = store.look_up(wanted).await?;
    loaded.nodes.get(&id).map(|node| node.origin.root).ok_or(Error::JobNotFound(id))
}
